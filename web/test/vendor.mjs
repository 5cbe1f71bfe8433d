// Makes app/vendor from the packages that package-lock.json pins, and writes SOURCES beside them.
// `npm run vendor` writes; `npm run vendor -- --check` only compares, and fails where a file differs.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const vendor = fileURLToPath(new URL('../app/vendor/', import.meta.url));
const lock = JSON.parse(readFileSync(here + 'package-lock.json', 'utf8')).packages;

const files = [
  {
    file: 'preact.js', packages: ['preact', 'htm', '@preact/signals', '@preact/signals-core'],
    entry: `import { h, render, Fragment } from 'preact';
      import htm from 'htm';
      export { h, render, Fragment };
      export { useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback } from 'preact/hooks';
      export { signal, computed, effect, batch, untracked, useSignal, useComputed, useSignalEffect } from '@preact/signals';
      export const html = htm.bind(h);`,
  },
  { file: 'uplot.js', packages: ['uplot'], entry: `export { default } from 'uplot';` },
  { file: 'uplot.css', packages: ['uplot'], entry: `@import 'uplot/dist/uPlot.min.css';`, loader: 'css' },
];

const lines = ['# Vendored files: name, sha256, the packages inside (name@version integrity). Made by: npm ci && npm run vendor (in web/test)'];
let differs = false;
for (const { file, packages, entry, loader } of files) {
  const made = await build({
    stdin: { contents: entry, resolveDir: here, loader: /** @type {any} */ (loader ?? 'js') },
    bundle: true, minify: true, format: 'esm', target: 'es2022', legalComments: 'inline', write: false, outdir: vendor,
  });
  const bytes = made.outputFiles[0].contents;
  lines.push(`${file} ${createHash('sha256').update(bytes).digest('hex')}`);
  for (const name of packages) {
    const p = lock[`node_modules/${name}`];
    lines.push(`  ${name}@${p.version} ${p.integrity} ${p.license ?? 'MIT'}`);
  }
  differs = put(file, Buffer.from(bytes)) || differs;
}
const licences = [...new Set(files.flatMap((f) => f.packages))].map((name) =>
  `${name}\n\n${readFileSync(`${here}node_modules/${name}/LICENSE`, 'utf8').trim()}\n`);
differs = put('LICENSES', Buffer.from(licences.join(`\n${'-'.repeat(72)}\n\n`))) || differs;
differs = put('SOURCES', Buffer.from(lines.join('\n') + '\n')) || differs;
if (differs && process.argv.includes('--check')) process.exit(1);

/** @param {string} file @param {Buffer} bytes */
function put(file, bytes) {
  if (!process.argv.includes('--check')) {
    writeFileSync(vendor + file, bytes);
    return false;
  }
  if (readFileSync(vendor + file).equals(bytes)) return false;
  console.error(`app/vendor/${file} is not what npm run vendor makes`);
  return true;
}
