// Makes app/rosetree.d.ts from the client's JSDoc; --check only compares.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const at = (/** @type {string} */ p) => fileURLToPath(new URL(p, import.meta.url));
const out = mkdtempSync(join(tmpdir(), 'rosetree-dts-'));
execFileSync(at('node_modules/.bin/tsc'), [at('../app/rosetree.js'), '--ignoreConfig', '--allowJs', '--declaration', '--emitDeclarationOnly', '--skipLibCheck',
  '--target', 'es2022', '--lib', 'es2023,dom', '--types', '', '--outDir', out], { stdio: 'inherit' });
const made = readFileSync(join(out, 'rosetree.d.ts'), 'utf8');
rmSync(out, { recursive: true });
const target = at('../app/rosetree.d.ts');
if (!process.argv.includes('--check')) writeFileSync(target, made);
else if (readFileSync(target, 'utf8') !== made) {
  console.error('app/rosetree.d.ts is not what npm run dts makes');
  process.exit(1);
}
