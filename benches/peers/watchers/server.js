// graphql-ws over ws, as its documentation sets it up, with the least of a pub/sub: one event to all who watch.
//
// NODE_ENV=production node server.js    prints the address that it listens on; POST /event sends the body to all

import { createServer } from "node:http";
import { buildSchema } from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";

const schema = buildSchema(`
  type Query { watchers: Int! }
  type Snapshot { seq: Int! status: String! currentPrice: String }
  type Event { seq: Int! kind: String! bidderCode: String amount: String closesAt: String }
  type Lagged { fromSeq: Int! }
  type AuctionUpdate { snapshot: Snapshot event: Event lagged: Lagged }
  type Subscription { auctionEvents(sessionId: ID!): AuctionUpdate! }
`);

const NEVER = { value: undefined, done: true };

/** Who watches: each is an iterator that holds what has not been taken yet. */
class Topic {
  #watchers = new Set();

  publish(value) {
    for (const watcher of this.#watchers) watcher.put(value);
  }

  watch(first) {
    const held = [first];
    let taker = null;
    const watcher = {
      put(value) {
        if (taker === null) return held.push(value);
        const take = taker;
        taker = null;
        return take({ value, done: false });
      },
    };
    this.#watchers.add(watcher);
    const end = () => {
      this.#watchers.delete(watcher);
      taker?.(NEVER);
      return Promise.resolve(NEVER);
    };
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: () =>
        held.length > 0
          ? Promise.resolve({ value: held.shift(), done: false })
          : new Promise((resolve) => {
              taker = resolve;
            }),
      return: end,
      throw: end,
    };
  }
}

const topic = new Topic();
const opened = { auctionEvents: { snapshot: { seq: 0, status: "FREE", currentPrice: null } } };
const roots = { subscription: { auctionEvents: () => topic.watch(opened) } };

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    response.end();
    topic.publish({ auctionEvents: JSON.parse(Buffer.concat(parts).toString()) });
  });
});
useServer({ schema, roots }, new WebSocketServer({ server, path: "/graphql" }));
server.listen(0, "127.0.0.1", 4096, () => console.log(`127.0.0.1:${server.address().port}`));

// Ends with the process that started it, however that ended.
process.stdin.on("end", () => process.exit(0)).resume();
