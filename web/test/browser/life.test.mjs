import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { browser, browserPath, demo, flags, logIn, modes, moves, page, quiet, register, tidy, until } from './harness.mjs';

// What happens to a page in its life: its line stalls, closes and sleeps, its session nears its end, its browser is closed, its server is replaced.

/** @type {Awaited<ReturnType<typeof demo>>} */ let d;
/** @type {import('playwright-core').Browser} */ let b;

before(async () => { [d, b] = await Promise.all([demo(), browser()]); });
afterEach((t) => tidy(b, 'life', t));
after(async () => {
  await b?.close();
  await d?.stop();
  d?.remove();
});

/**
 * A page whose socket goes through the test's hands, with the figures on screen.
 * @param {number} [n]
 */
async function wired(n = 0) {
  const p = await page(await b.newContext(modes.light));
  const line = { sockets: /** @type {import('playwright-core').WebSocketRoute[]} */ ([]), deaf: false };
  await p.routeWebSocket(/\/ws$/, (ws) => {
    line.sockets.push(ws);
    const server = ws.connectToServer();
    server.onMessage((m) => { if (!line.deaf) ws.send(m); });
  });
  await logIn(p, d.url, d.user('user', n));
  await p.waitForSelector('.pill[data-state=live]');
  await p.evaluate(() => { /** @type {any} */ (globalThis).notReloaded = true; });
  return { p, line };
}

/** Live again, on a new socket, in the same page. @param {{p:import('playwright-core').Page, line:{sockets:any[]}}} w @param {number} before */
async function again({ p, line }, before) {
  await p.waitForFunction(() => document.querySelector('.pill')?.getAttribute('data-state') === 'live');
  await until(() => line.sockets.length > before, 'another socket');
  await p.waitForSelector('.pill[data-state=live]');
  await moves(p, '.total');
  assert.equal(await p.evaluate(() => /** @type {any} */ (globalThis).notReloaded), true, 'nothing was loaded again');
  assert.equal(await p.locator('main.offline').count(), 0);
}

test('a silent line: stalled is said on the pill and on the numbers, and ends with the silence', async () => {
  const { p, line } = await wired();
  line.deaf = true;
  await p.waitForSelector('.pill[data-state=stalled]');
  assert.match((await p.textContent('.pill')) ?? '', /Stalled \d+ s/);
  assert.match(await p.locator('.total').first().evaluate((e) => getComputedStyle(e).textDecorationLine + getComputedStyle(e).textDecorationStyle), /underline.*dotted/);
  line.deaf = false;
  await p.waitForSelector('.pill[data-state=live]');
  await p.waitForSelector('main.late', { state: 'detached' });
  await moves(p, '.total');
  quiet(p);
});

test('Safari closes sockets with 1000 when it sleeps: the page comes back by itself', async () => {
  const w = await wired(1), before = w.line.sockets.length;
  await w.line.sockets[before - 1].close({ code: 1000 });
  await again(w, before);
  quiet(w.p);
});

test('the laptop slept for an hour: another socket at once, though nobody closed the old one', async () => {
  const p = await page(await b.newContext(modes.light));
  let sockets = 0;
  p.on('websocket', () => { sockets++; });
  await p.clock.install();
  await logIn(p, d.url, d.user('user', 2));
  await p.clock.resume();
  await p.waitForSelector('.pill[data-state=live]');
  const before = sockets;
  await p.clock.fastForward('01:00:00');
  await until(() => sockets > before, 'another socket');
  await p.waitForSelector('.pill[data-state=live]');
  await moves(p, '.total');
  quiet(p);
});

/** Whether anybody looks at the page, as its browser would say it. @param {import('playwright-core').Page} p @param {boolean} hidden */
const hide = (p, hidden) => p.evaluate((h) => {
  Object.defineProperty(document, 'hidden', { value: h, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}, hidden);

test('hidden: nothing but heartbeats comes and nothing ticks faster; also after its socket came back; shown again, it is live', async () => {
  const p = await page(await b.newContext(modes.light)), beside = await page(await b.newContext(modes.light));
  /** @type {string[]} */ const heard = [];
  /** @type {{page:import('playwright-core').WebSocketRoute, server:import('playwright-core').WebSocketRoute}[]} */ const sockets = [];
  let suspends = 0;
  await p.routeWebSocket(/\/ws$/, (ws) => {
    const server = ws.connectToServer();
    sockets.push({ page: ws, server });
    ws.onMessage((m) => { suspends += Number(JSON.parse(String(m)).type === 'suspend'); server.send(m); });
    server.onMessage((m) => { heard.push(...String(m).split('\n').map((line) => JSON.parse(line).type)); ws.send(m); });
  });
  await p.clock.install();
  await p.addInitScript(() => { // what still ticks, by its period
    const ticking = /** @type {any} */ (globalThis).ticking = new Map(), set = setInterval, clear = clearInterval;
    Object.assign(globalThis, {
      setInterval: (/** @type {any} */ fn, /** @type {number} */ ms) => { const id = set(fn, ms); ticking.set(id, ms); return id; },
      clearInterval: (/** @type {any} */ id) => { ticking.delete(id); clear(id); },
    });
  });
  await logIn(p, d.url, d.user());
  await logIn(beside, d.url, d.user());
  await p.clock.resume();
  await p.waitForSelector('.pill[data-state=live]');
  const periods = () => p.evaluate(() => [.../** @type {Map<any, number>} */ (/** @type {any} */ (globalThis).ticking).values()].sort((x, y) => x - y));
  assert.ok((await periods()).some((ms) => ms < 10000), 'shown, some things tick');
  const rests = async (/** @type {number} */ nth) => {
    await p.clock.fastForward(11_000);
    await until(() => suspends === nth, 'suspend is said');
    await p.waitForSelector('.pill[data-state=suspended]', { state: 'attached' });
    assert.deepEqual(await periods(), [20000], 'the look after the line, as often as a heartbeat comes, is all that is left');
    heard.length = 0;
    sockets.at(-1)?.server.send('{"id":"test","type":"ping"}');
    await until(() => heard.includes('pong'), 'the answer, after which comes nothing that was said before suspend');
    heard.length = 0;
    for (let n = 0; n < 3; n++) await moves(beside, '.total');
    assert.deepEqual(heard.filter((t) => t !== 'heartbeat'), [], 'beside it the same figures move, here nothing comes');
  };
  await hide(p, true);
  await rests(1);
  const before = sockets.length;
  await sockets[before - 1].page.close({ code: 1012, reason: 'restart' });
  await until(() => sockets.length > before && heard.includes('welcome'), 'another socket');
  await rests(2);
  await hide(p, false);
  await p.waitForSelector('.pill[data-state=live]');
  await moves(p, '.total');
  quiet(p);
  quiet(beside);
});

test('revoked while nobody looks: the figures are gone before anybody does', async () => {
  const p = await page(await b.newContext(modes.light)), admin = await page(await b.newContext(modes.light));
  await p.clock.install();
  await logIn(p, d.url, d.user('user', 1));
  await logIn(admin, d.url, d.user('admin'));
  await p.clock.resume();
  await p.waitForSelector('.pill[data-state=live]');
  const id = await p.evaluate(() => fetch('/api/auth/status').then((r) => r.json()).then((s) => s.session.id));
  await hide(p, true);
  await p.clock.fastForward(11_000);
  await p.waitForSelector('.pill[data-state=suspended]', { state: 'attached' });
  assert.match((await p.textContent('.total')) ?? '', /\d/);
  await admin.evaluate((i) => fetch(`/api/admin/sessions/${i}`, { method: 'DELETE', headers: { 'Content-Type': 'application/json' }, body: '{"reason":"a test"}' }), id);
  await p.waitForSelector('dialog[role=alertdialog]:has-text("Session ended")', { state: 'attached' });
  assert.equal(await p.locator('.total, [data-row]').count(), 0);
  quiet(p);
  quiet(admin);
});

test('another build on the server is said, and loaded only when the reader wants it', async () => {
  const w = await wired(), before = w.line.sockets.length;
  await w.p.route('**/assets/build', (r) => r.fulfill({ body: 'another', contentType: 'text/plain' }));
  await w.line.sockets[before - 1].close({ code: 1012, reason: 'restart' });
  await again(w, before);
  await w.p.waitForSelector('.banner:has-text("A new version of Rosetree is here")');
  await w.p.unroute('**/assets/build');
  await w.p.click('.banner button:has-text("Reload")');
  await w.p.waitForSelector('[data-row]');
  assert.equal(await w.p.evaluate(() => /** @type {any} */ (globalThis).notReloaded), undefined);
  assert.equal(await w.p.locator('.banner:has-text("new version")').count(), 0);
  quiet(w.p);
});

test('a session that nears its end says so; "Stay signed in" keeps it', async () => {
  const { p, line } = await wired(1);
  line.sockets.at(-1)?.send(JSON.stringify({ type: 'reauth', reason: 'expiring', deadline: new Date(Date.now() + 120_000).toISOString() })); // what the server says two minutes before
  const banner = p.locator('.banner:has-text("You will be signed out in")');
  await banner.waitFor();
  const renewed = p.waitForResponse('**/api/auth/refresh');
  await banner.locator('button:has-text("Stay signed in")').click();
  assert.equal((await renewed).status(), 200);
  await banner.waitFor({ state: 'detached' });
  assert.equal(await p.getAttribute('.pill', 'data-state'), 'live');
  quiet(p);
});

test('a new password ends the other devices; the old one opens nothing any more', async () => {
  const user = { email: `pat-${Date.now()}@example.com`, password: 'a sentence is the best password' };
  const p = await page(await b.newContext(modes.light)), other = await page(await b.newContext(modes.light));
  await register(p, d.url, user);
  await logIn(other, d.url, user);
  await p.goto(`${d.url}/settings`);
  const change = async (/** @type {string} */ current, /** @type {string} */ next) => {
    await p.fill('[name=current]', current);
    await p.fill('[name=new]', next);
    await p.click('button:has-text("Change password")');
  };
  await change('not my password', 'another sentence altogether');
  await p.waitForSelector('.field.bad:has-text("Current password")');
  await change(user.password, 'another sentence altogether');
  await p.waitForSelector('.toast:has-text("Password changed")');
  await other.waitForSelector('dialog[role=alertdialog]:has-text("Session ended")');
  await other.click('dialog button:has-text("Log in again")');
  await other.waitForSelector('.gate form');
  await other.fill('[name=email]', user.email);
  await other.fill('[name=password]', user.password);
  await other.click('form button.primary');
  await other.waitForSelector('.gate :is(.problem, .err)');
  await other.fill('[name=password]', 'another sentence altogether');
  await other.click('form button.primary');
  await other.waitForSelector('.steps');
  quiet(p, /status of 4(01|22)/);
  quiet(other, /status of 401/);
});

test('the browser is closed and opened again: still signed in; after a log-out nothing is left', async () => {
  const profile = mkdtempSync(join(tmpdir(), 'rosetree-profile-'));
  const open = () => chromium.launchPersistentContext(profile, { executablePath: browserPath, args: flags, ...modes.light });
  let context = await open();
  try {
    await logIn(await page(context), d.url, d.user('user', 2));
    await context.close();
    context = await open();
    const p = await page(context);
    await p.goto(d.url);
    await p.waitForSelector('[data-row]');
    const total = (await p.textContent('.total')) ?? '';
    assert.match(total, /\d/);
    await p.click('a[href="/activity"]');
    await p.waitForSelector('tbody tr[data-row]');
    await p.click('button[title=Account]');
    await p.click('text=Log out');
    await p.waitForURL('**/login');
    await p.goBack();
    await p.waitForSelector('.gate form');
    assert.equal(await p.locator('.total, [data-row], .news').count(), 0);
    const kept = await p.evaluate(async () => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, await caches.keys(), await indexedDB.databases()]));
    assert.doesNotMatch(kept, /\d{3}[.,]\d/, 'no amount is stored');
    assert.equal((await context.cookies()).filter((c) => c.name.includes('rosetree') && !/device/.test(c.name)).map((c) => c.name).join(), '');
    quiet(p);
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
});
