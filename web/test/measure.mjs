// Measures what the screens promise, in the real browser against the real program: make measure-web, or ROSETREE_BIN=… node measure.mjs [MINUTES]
// WEB_TEST_SESSIONS is among how many sessions the console is used: 5,000, or 100000.
// MINUTES is how long memory is watched: 1, or 10 as the issue has it. Prints one line per figure. Ratios rather than truths: the machine is shared with the browser and the databases.
import { readFileSync, readdirSync } from 'node:fs';
import { loadavg } from 'node:os';
import { chromium } from 'playwright-core';
import { amongMany, many } from './browser/crowd.mjs';
import { browserPath, demo, flags, logIn } from './browser/harness.mjs';
import { hidden } from './hidden.mjs';

const d = await demo();
const server = await chromium.launchServer({ executablePath: browserPath, args: flags });
const b = await chromium.connect(server.wsEndpoint());
const say = (/** @type {string} */ what, /** @type {any} */ figure) => console.log(`${what}: ${figure}`);

/** CPU milliseconds of every process of the browser. */
function cpu() {
  /** @type {Map<number, {parent:number, ticks:number}>} */ const all = new Map();
  for (const pid of readdirSync('/proc').filter((n) => /^\d+$/.test(n))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8'), f = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      all.set(Number(pid), { parent: Number(f[1]), ticks: Number(f[11]) + Number(f[12]) });
    } catch { /* it has ended */ }
  }
  const mine = new Set([server.process().pid]);
  for (let grown = true; grown;) {
    grown = false;
    for (const [pid, p] of all) if (!mine.has(pid) && mine.has(p.parent)) mine.add(pid), grown = true;
  }
  let ticks = 0;
  for (const pid of mine) ticks += all.get(pid ?? 0)?.ticks ?? 0;
  return ticks * 10;
}

/** @param {number} ms */
async function load(ms) {
  const c = cpu(), t = performance.now();
  await new Promise((r) => setTimeout(r, ms));
  return `${(((cpu() - c) / (performance.now() - t)) * 100).toFixed(1)} % of a core`;
}

/** From the submit of the log-in to the first row. @param {(cdp:any) => Promise<any>} [slow] */
async function logInTime(slow) {
  const context = await b.newContext({ viewport: { width: 1360, height: 900 } }), p = await context.newPage();
  const cdp = await context.newCDPSession(p);
  await slow?.(cdp);
  await p.goto(`${d.url}/login`);
  await p.fill('[name=email]', d.user().email);
  await p.fill('[name=password]', d.user().password);
  await p.waitForTimeout(1000);
  const t = performance.now();
  await p.click('form button.primary');
  await p.waitForSelector('[data-row]');
  const ms = Math.round(performance.now() - t);
  await context.close();
  return `${ms} ms`;
}

async function wire() {
  const context = await b.newContext({ viewport: { width: 1360, height: 900 } }), p = await context.newPage();
  await logIn(p, d.url, d.user());
  const state = await context.storageState();
  await context.close();
  const fresh = await b.newContext({ viewport: { width: 1360, height: 900 }, storageState: state }), q = await fresh.newPage(); // an empty cache
  const cdp = await fresh.newCDPSession(q);
  await cdp.send('Network.enable');
  let bytes = 0, files = 0;
  cdp.on('Network.loadingFinished', (e) => { bytes += e.encodedDataLength; files++; });
  await q.goto(d.url);
  await q.waitForSelector('[data-row]');
  await q.waitForSelector('.plot canvas, .plot .none');
  await q.waitForTimeout(1500);
  await fresh.close();
  return `${(bytes / 1000).toFixed(1)} kB in ${files} answers, headers and data included`;
}

/** @param {string} method @param {string} path @param {any} body @param {string} token */
const api = (method, path, body, token) => fetch(d.url + path, { method, headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` }, body: JSON.stringify(body) }).then((r) => (r.ok ? (r.status === 204 ? null : r.json()) : r.text().then((t) => Promise.reject(new Error(`${path}: ${t}`)))));

/** @param {{email:string, password:string}} user */
const tokenOf = async (user) => (await api('POST', '/api/auth/login', { ...user, role: undefined, transport: 'bearer' }, '')).tokens.access;

/** Fifty holdings, each of whose prices moves ten times a second. */
async function busy() {
  const admin = await tokenOf(d.user('admin')), user = await tokenOf(d.user('user', 2));
  const { id } = await api('POST', '/api/portfolios', { name: 'Fifty', base_currency: 'USD' }, user);
  const symbols = Array.from({ length: 50 }, (_, i) => `M${String(i).padStart(2, '0')}-USD`);
  for (const symbol of symbols) {
    await api('PUT', `/api/instruments/${symbol}`, { name: `Measured ${symbol}`, kind: 'crypto', currency: 'USD' }, admin);
    await api('POST', `/api/portfolios/${id}/transactions`, { type: 'buy', symbol, quantity: '3', price: '100', currency: 'USD' }, user);
  }
  let turn = 0, refused = 0, going = true;
  const feed = (async () => {
    for (let next = performance.now(); going; next = Math.max(next + 100, performance.now() - 1000)) {
      turn++;
      const updates = symbols.map((s, i) => ({ s, p: (100 + Math.sin(turn / 9 + i)).toFixed(4), t: Date.now() }));
      // One at a time, as feeds post. Where a starved Redis does not answer within 100 ms a post is refused with 503: it is counted, and the next one follows.
      await api('POST', '/api/prices', { updates }, admin).catch((e) => { if (!refused++) console.error(`${e.message}\n${d.log().split('\n').filter((l) => /not published/.test(l)).at(-1) ?? ''}`); });
      await new Promise((r) => setTimeout(r, Math.max(0, next + 100 - performance.now())));
    }
  })();
  const began = performance.now();
  return {
    id,
    rate: () => `${((turn - refused) * 50 / ((performance.now() - began) / 1000)).toFixed(0)} updates/s posted, ${refused} posts refused`,
    async stop() { going = false; await feed; },
  };
}

/** From the click in the admin's tab to the blank screen in the other, both on one clock. */
async function revokeTime() {
  const victim = await (await b.newContext()).newPage(), admin = await (await b.newContext()).newPage();
  await logIn(victim, d.url, d.user('user', 1));
  await logIn(admin, d.url, d.user('admin'));
  const id = await victim.evaluate(() => fetch('/api/auth/status').then((r) => r.json()).then((x) => x.session.id));
  const blank = victim.evaluate(() => new Promise((done) => {
    new MutationObserver(() => { if (document.querySelector('dialog[role=alertdialog]') && !document.querySelector('.total')) requestAnimationFrame(() => done(Date.now())); }).observe(document.body, { childList: true, subtree: true });
  }));
  await admin.goto(`${d.url}/admin`);
  await admin.click(`tr[data-session="${id}"] button.danger`);
  await admin.fill('dialog [name=reason]', 'measured');
  const clicked = await admin.evaluate(() => { const at = Date.now(); /** @type {HTMLElement} */ (document.querySelector('dialog button.danger')).click(); return at; });
  const ms = Number(await blank) - clicked;
  await victim.context().close();
  await admin.context().close();
  return `${ms} ms`;
}

say('load average', loadavg().map((n) => n.toFixed(1)).join(' '));
say('log-in to holdings', await logInTime());
say('log-in to holdings, 4× slower CPU and 150 ms round trip', await logInTime(async (cdp) => {
  await cdp.send('Network.enable');
  await cdp.send('Network.emulateNetworkConditions', { offline: false, latency: 150, downloadThroughput: -1, uploadThroughput: -1 });
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: 4 });
}));
say('first screen on the wire', await wire());

const blanked = [];
for (let i = 0; i < 5; i++) blanked.push(await revokeTime());
say('from the click on Revoke to the blank screen', blanked.join(', '));

const feed = await busy();
const context = await b.newContext({ viewport: { width: 1360, height: 1600 } }), p = await context.newPage();
await p.addInitScript((id) => localStorage.setItem('rosetree.settings', JSON.stringify({ portfolio: id })), feed.id);
await logIn(p, d.url, d.user('user', 2));
await p.waitForTimeout(4000);
say('rows on screen', await p.locator('[data-row]').count());
say('500 updates/s on 50 rows', await load(10000));
const minutes = Number(process.argv[2] ?? 1), cdp = await context.newCDPSession(p);
/** What is still reachable: the least of three collections, because one alone may leave compiled code and weak things for the next. */
const heap = async () => {
  let least = Infinity;
  for (let n = 0; n < 3; n++) {
    await cdp.send('HeapProfiler.collectGarbage');
    least = Math.min(least, (await cdp.send('Runtime.getHeapUsage')).usedSize / 1e6);
  }
  return least;
};
const curve = [await heap()];
for (let n = 0; n < minutes; n++) {
  await p.waitForTimeout(60000);
  curve.push(await heap());
}
say(`heap, minute by minute for ${minutes} min`, `${curve.map((mb) => mb.toFixed(2)).join(' ')} MB`);
await context.close();
for (const { what, seconds, page, all, heard } of await hidden(d.url, d.user('user', 2), { portfolio: feed.id }, 60)) {
  const share = (/** @type {number} */ ms) => `${(ms / seconds / 10).toFixed(1)} % (${(ms / seconds * 60).toFixed(0)} ms a minute)`;
  say(what, `the page ${share(page)}, all processes of the browser ${share(all)}, ${heard} messages in ${seconds} s`);
}
say('the feed', feed.rate());
await feed.stop();
const crowded = await (await b.newContext({ viewport: { width: 1360, height: 900 } })).newPage();
crowded.setDefaultTimeout(120_000);
const { took, longTasks } = await amongMany(crowded, d);
say(`the console among ${many} sessions`, took.map(([what, ms]) => `${what} ${ms} ms`).join(', '));
say('its long tasks', `${longTasks.length}, the longest ${Math.max(0, ...longTasks)} ms`);
say('load average', loadavg().map((n) => n.toFixed(1)).join(' '));
await server.close();
await d.stop();
d.remove();
