// Writes web/dist/, the GraphiQL page that the gateway embeds: `npm ci && npm run build`.
//
// The libraries come as finished UMD files from their packages; nothing is bundled or transpiled
// here, so this script needs no dependency of its own. Every file but index.html carries a hash of
// its content in its name, which lets the gateway tell browsers to keep it for ever.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const web = dirname(fileURLToPath(import.meta.url));
const dist = join(web, 'dist');
const read = (path) => readFileSync(join(web, path), 'utf8');
const library = (path) => read(join('node_modules', path)).replace(/^\/\/# sourceMappingURL=.*$/gm, '');

/** The license texts of all packages in the lock file: their bundles leave them out, and the MIT license wants them passed on. */
function licenses() {
  const { packages } = JSON.parse(read('package-lock.json'));
  const texts = [];
  for (const [path, { version, license }] of Object.entries(packages)) {
    if (path === '' || !existsSync(join(web, path))) continue;
    const files = readdirSync(join(web, path)).filter((name) => /^(licen[cs]e|notice)/i.test(name)).sort();
    const title = `${path.replace(/^.*node_modules\//, '')} ${version} (${license ?? 'see below'})`;
    texts.push([title, ...files.map((name) => read(join(path, name)).trim())].join('\n\n'));
  }
  return texts.join(`\n\n${'-'.repeat(72)}\n\n`) + '\n';
}

const files = {
  'library.js': ['react/umd/react.production.min.js', 'react-dom/umd/react-dom.production.min.js', 'graphiql/graphiql.min.js']
    .map(library).join('\n;\n'),
  'page.js': [read('src/examples.js'), read('src/page.js')].join('\n;\n'),
  'page.css': [library('graphiql/graphiql.min.css'), read('src/page.css')].join('\n'),
  'licenses.txt': licenses(),
};

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
let index = read('src/index.html');
for (const [name, content] of Object.entries(files)) {
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 12);
  const hashed = name.replace('.', `.${hash}.`);
  if (!index.includes(`/graphiql/${name}`)) throw new Error(`src/index.html does not use ${name}`);
  index = index.replaceAll(`/graphiql/${name}`, `/graphiql/${hashed}`);
  writeFileSync(join(dist, hashed), content);
}
writeFileSync(join(dist, 'index.html'), index);

// Cargo watches the files that were embedded last time, but not a folder that was absent then:
// a newer source file makes it look again.
const embedder = join(web, '../services/gateway/src/graphiql.rs');
if (existsSync(embedder)) utimesSync(embedder, new Date(), new Date());

for (const name of readdirSync(dist)) console.log(`dist/${name}`);
