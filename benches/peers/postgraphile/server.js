// PostGraphile 5 over the functions of schema.sql, tuned as one would for production: no GraphiQL, no watching, no checks of
// development (NODE_ENV), a pool that is larger than what a hot row can use, the answer written out as a string.
//
// PEER_DATABASE_URL=postgres://… PEER_SCHEMA=… node server.js    prints the address that it listens on
// PEER_POOL is the number of its connections (default 16), PEER_PROCESSES that of its processes, which share them (default 1).

import cluster from "node:cluster";
import { createServer } from "node:http";
import { grafserv } from "postgraphile/grafserv/node";
import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { postgraphile } from "postgraphile";

// PostGraphile 5.1 asks for Node 22; this is all that it misses in Node 20.
Promise.withResolvers ??= function withResolvers() {
  const held = {};
  held.promise = new Promise((resolve, reject) => Object.assign(held, { resolve, reject }));
  return held;
};

const { PEER_DATABASE_URL, PEER_SCHEMA, PEER_POOL = "16", PEER_PROCESSES = "1" } = process.env;
const processes = Number(PEER_PROCESSES);

const preset = {
  extends: [PostGraphileAmberPreset],
  pgServices: [
    makePgService({
      connectionString: PEER_DATABASE_URL,
      schemas: [PEER_SCHEMA],
      poolConfig: {
        max: Math.ceil(Number(PEER_POOL) / processes),
        idleTimeoutMillis: 0,
        options: `-c search_path=${PEER_SCHEMA}`,
      },
    }),
  ],
  grafserv: { graphiql: false, graphqlOverGET: false, watch: false, outputDataAsString: true },
  grafast: { explain: false },
};

async function serve(announce) {
  const server = createServer({ keepAliveTimeout: 60_000 });
  const instance = postgraphile(preset).createServ(grafserv);
  await instance.addTo(server);
  await instance.ready();
  server.listen(0, "127.0.0.1", () => announce(`127.0.0.1:${server.address().port}`));
}

// Ends with the process that started it, however that ended.
process.stdin.on("end", () => process.exit(0)).resume();

if (processes > 1 && cluster.isPrimary) {
  let ready = 0;
  cluster.on("listening", (_, { port }) => {
    ready += 1;
    if (ready === processes) console.log(`127.0.0.1:${port}`);
  });
  for (let n = 0; n < processes; n += 1) cluster.fork();
} else {
  await serve(cluster.isPrimary ? console.log : () => {});
}
