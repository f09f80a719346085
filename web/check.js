// Checks that the example operations parse and, where the committed schema is there, that they
// are valid against it: `npm run check`.

import { existsSync, readFileSync } from 'node:fs';
import { buildSchema, getOperationAST, parse, validate } from 'graphql';
import './src/examples.js';

const path = new URL('../tests/schema.graphql', import.meta.url);
const schema = existsSync(path) ? buildSchema(readFileSync(path, 'utf8')) : null;
if (!schema) console.log('tests/schema.graphql is absent: checking the syntax only');

let failed = 0;
for (const { query, variables } of globalThis.jishiExamples) {
  let name = query.split('\n')[0];
  try {
    const document = parse(query);
    name = getOperationAST(document)?.name?.value ?? 'unnamed';
    const errors = schema ? validate(schema, document) : [];
    if (errors.length > 0) throw new Error(errors.map((e) => e.message).join('\n    '));
    const declared = document.definitions[0].variableDefinitions.map((v) => v.variable.name.value).sort();
    const given = Object.keys(variables ?? {}).sort();
    if (declared.join() !== given.join()) throw new Error(`declares ($${declared}) but is given ($${given})`);
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.error(`FAILED  ${name}\n    ${error.message}`);
  }
}
process.exitCode = failed > 0 ? 1 : 0;
