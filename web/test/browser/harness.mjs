import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

export const artifacts = fileURLToPath(new URL('../../../test-artifacts/', import.meta.url));
mkdirSync(artifacts, { recursive: true });

export const browserPath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'].find((p) => p && existsSync(p));
export const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** @typedef {{url:string, users:{email:string, password:string, role:string}[], database_url:string, migrate_database_url:string, redis_url:string}} Demo */

/**
 * `rosetree demo` as a child: its own PostgreSQL and Redis, seeded users, moving prices.
 * @param {{data?:string, listen?:string, env?:Record<string,string>}} [options]
 */
export async function demo({ data = mkdtempSync(join(tmpdir(), 'rosetree-web-')), listen = '127.0.0.1:0', env = {} } = {}) {
  const bin = process.env.ROSETREE_BIN;
  assert.ok(bin, 'ROSETREE_BIN names the program to test; web/test/run sets it');
  const child = spawn(bin, ['demo', '--json', '--listen', listen, '--data', data], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let log = '';
  child.stderr.on('data', (d) => { log = (log + d).slice(-20000); });
  createInterface({ input: child.stderr }).on('line', starvedBy);
  const ended = new Promise((r) => child.once('exit', r));
  const line = await Promise.race([
    new Promise((r) => createInterface({ input: child.stdout }).once('line', r)),
    ended.then(() => assert.fail(`rosetree demo ended before it was ready:\n${log}`)),
    new Promise((_, fail) => setTimeout(() => fail(new Error(`rosetree demo was not ready within 90 s:\n${log}`)), 90_000).unref()),
  ]);
  /** @type {Demo} */ const ready = JSON.parse(String(line));
  return {
    ...ready, data, log: () => log,
    user: (role = 'user', n = 0) => ready.users.filter((u) => u.role === role)[n],
    /** @param {NodeJS.Signals} signal */
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      await ended;
    },
    remove: () => rmSync(data, { recursive: true, force: true }),
  };
}

/**
 * Answers 503 that servers gave because their Redis, which nobody had stopped, did not answer within its 100 ms: a starved machine, and no
 * fault of page or server. By path; Chromium writes each on the console whatever the page does, and the page asks again.
 * @type {Map<string, number>}
 */
const starved = new Map();

/** @param {string} line of a server's log */
function starvedBy(line) {
  const path = / path=(\S+) status=503 .*cause="?unavailable: sessions cannot be checked right now/.exec(line)?.[1];
  if (path) starved.set(path, (starved.get(path) ?? 0) + 1);
}

/** Whether a complaint is one of those answers; each excuses one. @param {string} text */
function excused(text) {
  if (!/(status of|response code:) 503/.test(text)) return false;
  const path = [...starved.keys()].find((k) => [')', '?', "' failed"].some((end) => text.includes(k + end)));
  if (path === undefined) return false;
  const left = (starved.get(path) ?? 0) - 1;
  if (left) starved.set(path, left);
  else starved.delete(path);
  return true;
}

/** One Chromium with a fresh profile. Contexts of it are separate people. */
export const browser = () => chromium.launch({ executablePath: browserPath, args: flags });

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
export const modes = /** @type {Record<string, import('playwright-core').BrowserContextOptions>} */ ({
  light: { colorScheme: 'light', viewport: { width: 1360, height: 900 } },
  dark: { colorScheme: 'dark', viewport: { width: 1360, height: 900 } },
  phone: { ...phone, colorScheme: 'light' },
  'phone-dark': { ...phone, colorScheme: 'dark' },
});

/** How long a test waits for what it waits for: on a starved machine all of it comes, only late. */
export const PATIENCE = 40_000;

/** What each page complained of: console errors, exceptions, breaches of the policy. @type {Map<import('playwright-core').Page|null, string[]>} */
const complaints = new Map();
/** @type {WeakSet<import('playwright-core').BrowserContext>} */ const watched = new WeakSet();
/** Pages that their test has held to be quiet. @type {WeakSet<import('playwright-core').Page>} */ const held = new WeakSet();

/** Hears what all pages of a context complain of, also one that its test opens in another way. @param {import('playwright-core').BrowserContext} context */
async function watch(context) {
  if (watched.has(context)) return;
  watched.add(context);
  const add = (/** @type {import('playwright-core').Page|null} */ p, /** @type {string} */ text) => complaints.set(p, [...(complaints.get(p) ?? []), text]);
  context.on('console', (m) => m.type() === 'error' && add(m.page(), `console: ${m.text()} (${m.location().url})`));
  context.on('weberror', (e) => add(e.page(), `exception: ${e.error().stack}`));
  await context.addInitScript(() => addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`)));
}

/**
 * A page whose complaints fail the test, except those that the test announces.
 * @param {import('playwright-core').BrowserContext} context
 */
export async function page(context) {
  await watch(context);
  const p = await context.newPage();
  p.setDefaultTimeout(PATIENCE);
  return p;
}

/** Fails where a page complained of something that was not announced. @param {import('playwright-core').Page} p @param {RegExp} [announced] */
export function quiet(p, announced = /^$/) {
  held.add(p);
  const list = complaints.get(p) ?? [];
  complaints.delete(p);
  assert.deepEqual(list.filter((t) => !announced.test(t) && !excused(t)), [], 'the page complained');
}

/** @param {import('playwright-core').Page} p @param {string} url @param {{email:string, password:string}} user */
export async function logIn(p, url, user) {
  await p.goto(`${url}/login`);
  await p.fill('[name=email]', user.email);
  await p.fill('[name=password]', user.password);
  await p.click('form button.primary');
  await p.waitForSelector('[data-row], [data-row-card], .steps', { timeout: PATIENCE });
}

/** A new account, logged in with its steps on screen. @param {import('playwright-core').Page} p @param {string} url @param {{email:string, password:string}} user */
export async function register(p, url, user) {
  await p.goto(`${url}/login`);
  await p.click('text=Create an account');
  await p.fill('[name=email]', user.email);
  await p.fill('[name=password]', user.password);
  await p.click('form button.primary');
  await p.waitForSelector('.steps');
}

/** @param {import('playwright-core').Page} p @param {string} name */
export async function shot(p, name) {
  const whole = (await p.locator('dialog[open]').count()) === 0; // a dialog's backdrop covers the screen, not the page
  await p.screenshot({ path: join(artifacts, `${name}.png`), fullPage: whole, animations: 'disabled' });
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Fails on anything that axe finds. It is handed to the page by the debugger, because the policy lets no script in. @param {import('playwright-core').Page} p @param {string} where */
export async function accessible(p, where) {
  await p.evaluate(axe);
  const found = await p.evaluate(async () => {
    const dialog = [...document.querySelectorAll('dialog[open]')].at(-1); // what lies behind it is not to be used, and is looked at without it
    const result = await /** @type {any} */ (globalThis).axe.run(dialog ?? document, { resultTypes: ['violations'] });
    return result.violations.map((/** @type {any} */ v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((/** @type {any} */ n) => `${n.target} ${n.any[0]?.message ?? ''}`).join(' | ')}`);
  });
  assert.deepEqual(found, [], `axe on ${where}`);
}

/** The live figures: resolves once the text of a selector has changed. @param {import('playwright-core').Page} p @param {string} selector */
export async function moves(p, selector, timeout = PATIENCE) {
  const before = await p.textContent(selector);
  await p.waitForFunction(([s, was]) => document.querySelector(s ?? '')?.textContent !== was, [selector, before], { timeout });
}

/** Waits for what no page shows. @param {() => boolean} holds @param {string} what */
export async function until(holds, what) {
  for (const end = Date.now() + PATIENCE; !holds(); await new Promise((r) => setTimeout(r, 50))) assert.ok(Date.now() < end, `in vain: ${what}`);
}

/** For afterEach: closes what a test left open, and photographs it first where the test failed. A page that complained and was never held to be quiet fails the test, too. @param {import('playwright-core').Browser} b @param {string} name @param {any} t */
export async function tidy(b, name, t) {
  let n = 0;
  for (const context of b.contexts()) {
    for (const p of t.passed ? [] : context.pages()) {
      await p.screenshot({ path: join(artifacts, `failed-${name}-${++n}.png`) }).catch(() => {});
      for (const c of complaints.get(p) ?? []) console.log(`# ${p.url()}: ${c}`);
    }
    await context.close();
  }
  const left = [...complaints].flatMap(([p, list]) => (p && held.has(p) ? [] : list)).filter((t) => !excused(t));
  complaints.clear();
  if (t.passed) assert.deepEqual(left, [], 'a page complained that the test did not hold to be quiet');
}

/** Says commands to the demo's Redis, all at once. @param {string} url @param {...string[]} commands */
export function redis(url, ...commands) {
  const at = new URL(url);
  const say = (/** @type {string[]} */ all) => `*${all.length}\r\n${all.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('')}`;
  const auth = [decodeURIComponent(at.username), decodeURIComponent(at.password)].filter(Boolean);
  return new Promise((done, fail) => {
    const socket = connect(Number(at.port), at.hostname, () => socket.write((auth.length ? say(['AUTH', ...auth]) : '') + commands.map(say).join('') + say(['QUIT'])));
    let heard = '';
    socket.on('data', (b) => { heard += b; });
    socket.on('error', fail);
    socket.on('close', () => (/(^|\n)-/.test(heard) ? fail(new Error(heard.slice(0, 500))) : done(heard)));
  });
}
