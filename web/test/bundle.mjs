// Makes web/bundle, which the server embeds, from web/app: what the browser gets is small, what people read is not.
// `npm run bundle` writes; `npm run bundle -- --check` only compares, and fails where a file differs.
import { build } from 'esbuild';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const app = fileURLToPath(new URL('../app/', import.meta.url));
const bundle = fileURLToPath(new URL('../bundle/', import.meta.url));

/** @type {import('esbuild').BuildOptions & {write:false}} */
const small = { absWorkingDir: app, minify: true, target: 'es2022', legalComments: 'none', outdir: bundle, write: false, logLevel: 'error' };
/** @param {string} dir @returns {string[]} */
const scripts = (dir) => readdirSync(dir, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? scripts(join(dir, e.name)) : e.name.endsWith('.js') ? [join(dir, e.name)] : []));
const later = new Set(scripts(app).flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/import\('([^']+)'\)/g)].map((m) => join(dirname(file), m[1]))));

/**
 * What is loaded later finds all of the first screen there, so it says that it needs it: then esbuild keeps the first
 * screen in one file, instead of one for each set of pages that share something. Every file costs headers and compresses by itself.
 * @type {import('esbuild').Plugin}
 */
const oneFirstScreen = {
  name: 'one-first-screen',
  setup: (on) => on.onLoad({ filter: /\.js$/ }, ({ path }) => (later.has(path) ? { contents: `import ${JSON.stringify(`./${relative(dirname(path), join(app, 'main.js'))}`)};\n${readFileSync(path, 'utf8')}` } : null)),
};

const made = await Promise.all([
  // Every page is a file of its own, loaded when it is opened; what several share is a file too.
  build({ ...small, entryPoints: ['main.js'], bundle: true, splitting: true, format: 'esm', plugins: [oneFirstScreen] }),
  build({ ...small, entryPoints: ['rosetree.js'], format: 'esm' }), // for other people's pages
  build({ ...small, entryPoints: ['theme.js'] }),
  build({ ...small, entryPoints: ['app.css'], bundle: true }),
]);
const files = new Map(made.flatMap((m) => m.outputFiles).map((f) => [f.path.slice(bundle.length), f.text]));

if (process.argv.includes('--check')) {
  const there = new Map(readdirSync(bundle).map((name) => [name, readFileSync(bundle + name, 'utf8')]));
  const wrong = [...new Set([...files.keys(), ...there.keys()])].filter((name) => files.get(name) !== there.get(name));
  if (wrong.length) {
    console.error(`web/bundle is not what npm run bundle makes of web/app: ${wrong.join(', ')}`);
    process.exit(1);
  }
} else {
  rmSync(bundle, { recursive: true, force: true });
  mkdirSync(bundle);
  for (const [name, text] of files) writeFileSync(bundle + name, text);
}
