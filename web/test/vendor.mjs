// Makes app/vendor from the packages that package-lock.json pins, and writes SOURCES beside them.
// `npm run vendor` writes; `npm run vendor -- --check` only compares, and fails where a file differs.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { minify } from 'terser';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const vendor = fileURLToPath(new URL('../app/vendor/', import.meta.url));
const lock = JSON.parse(readFileSync(here + 'package-lock.json', 'utf8')).packages;

// What uPlot offers on itself and no page of ours asks for; without it a sixth of the file goes.
const unused = /uPlot\.(join|fmtDate|tzDate|sync|addGap|clipGaps|rangeLog|rangeAsinh|rangeNum|fmtNum|assign|orient) *= [^;]+;|\(paths\.(bars|spline|stepped) *= [^;]+;/g;

// What our pages never turn on.
/** @type {[string|RegExp, string][]} */
const off = [['const showLegend = legend.show;', 'const showLegend = false;'], ['const mode = self.mode;', 'const mode = 1;']];

const files = [
  {
    file: 'preact.js', packages: ['preact', 'htm', '@preact/signals', '@preact/signals-core'],
    entry: `import { h, render } from 'preact';
      import htm from 'htm';
      export { render };
      export { useState, useEffect, useRef } from 'preact/hooks';
      export { signal, computed, effect, batch } from '@preact/signals';
      export const html = htm.bind(h);`,
  },
  { file: 'uplot.js', packages: ['uplot'], entry: `export { default } from 'uplot';`, without: unused },
  { file: 'uplot.css', packages: ['uplot'], entry: `@import 'uplot/dist/uPlot.min.css';`, loader: 'css', without: /\.u-(legend|inline|series|title)[^{}]*\{[^}]*\}/g },
];

const lines = ['# Vendored files: name, sha256, the packages inside (name@version integrity). Made by: npm ci && npm run vendor (in web/test)'];
let differs = false;
for (const { file, packages, entry, loader, without } of files) {
  const made = await build({
    stdin: { contents: entry, resolveDir: here, loader: /** @type {any} */ (loader ?? 'js') },
    plugins: without ? [leavingOut(without)] : [],
    bundle: true, minify: true, format: 'esm', target: 'es2022', legalComments: 'inline', write: false, outdir: vendor,
  });
  const bytes = loader === 'css' ? made.outputFiles[0].contents : await smaller(made.outputFiles[0].text);
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

/** @param {RegExp} what @returns {import('esbuild').Plugin} */
function leavingOut(what) {
  return { name: 'leaving out', setup: (b) => b.onLoad({ filter: /uPlot\.(esm\.js|min\.css)$/ }, ({ path }) => ({ contents: off.reduce((s, [from, to]) => s.replace(from, to), readFileSync(path, 'utf8').replace(what, '')), loader: 'default' })) };
}

/** Terser leaves some per cent less than esbuild, which matters for the two files that every page waits for. @param {string} text */
async function smaller(text) {
  const { code } = await minify(text, { module: true, ecma: 2020, compress: { passes: 3 }, mangle: true, format: { comments: 'some' } });
  return Buffer.from(`${code}\n`);
}
