import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { accessible, browser, demo, logIn, modes, moves, page, quiet, shot, tidy } from './harness.mjs';

// Watchlists and alerts: what one follows without owning it, and what one wants to be told of.

/** @type {Awaited<ReturnType<typeof demo>>} */ let d;
/** @type {import('playwright-core').Browser} */ let b;

before(async () => { [d, b] = await Promise.all([demo(), browser()]); });
afterEach((t) => tidy(b, 'watch', t));
after(async () => {
  await b?.close();
  await d?.stop();
  d?.remove();
});

/** @param {number} n @param {import('playwright-core').BrowserContextOptions} [mode] */
async function as(n, mode = modes.light) {
  const p = await page(await b.newContext(mode));
  await logIn(p, d.url, d.user('user', n));
  return p;
}

/** Sets an alert with a webhook, whose secret is then shown once. @param {import('playwright-core').Page} p @param {string} threshold @param {string} webhook */
async function alertWithWebhook(p, threshold, webhook) {
  await p.click('[data-key=add]');
  await p.fill('dialog [name=symbol]', 'AAPL');
  await p.click('dialog button:has-text("Falls to")');
  await p.fill('dialog [name=threshold]', threshold);
  await p.fill('dialog [name=webhook]', webhook);
  await p.click('dialog button.primary');
  await p.click('dialog button:has-text("I have it")');
}

/** Symbols in the order of the page. @param {import('playwright-core').Page} p @param {string} wanted */
const rows = (p, wanted) => p.waitForFunction((w) => [...document.querySelectorAll('.watch tr[data-row]')].map((r) => r.getAttribute('data-row')).join() === w, wanted);

test('a watchlist: made, filled, with live prices, in an order of one\'s own, the same on another device, and undone', async () => {
  const p = await as(0), other = await as(0, modes.phone);
  await other.goto(`${d.url}/watchlists`);
  await p.click('a[href="/watchlists"]');
  await p.click('button:has-text("Make a watchlist")');
  await p.fill('dialog [name=name]', 'Ideas');
  await p.click('dialog button.primary');
  let free = () => {}, held = Promise.resolve();
  await p.route('**/api/watchlists/*', async (r) => { await held; await r.continue(); });
  for (const s of ['AAPL', 'btc-usd', 'MSFT']) {
    await p.fill('[name=symbol]', s);
    free(); // the one before is answered when the next is typed already
    held = new Promise((answer) => { free = () => answer(); });
    await p.click('.add button.primary');
    await p.waitForSelector(`.watch tr[data-row="${s.toUpperCase()}"]`);
  }
  free();
  await p.fill('[name=symbol]', 'NOSUCH');
  await p.click('.add button.primary');
  await p.waitForSelector('.field.bad:has-text("Nobody here knows NOSUCH")');
  await p.fill('[name=symbol]', '');
  await moves(p, '.watch tr[data-row="BTC-USD"] .px');
  await p.waitForFunction(() => /%/.test(document.querySelector('.watch tr[data-row="BTC-USD"] .delta')?.textContent ?? ''));
  await p.click('button[aria-label="Move BTC-USD up"]');
  await rows(p, 'BTC-USD,AAPL,MSFT');
  await rows(other, 'BTC-USD,AAPL,MSFT');
  await p.focus('tr[data-row="MSFT"]');
  await p.keyboard.press('Alt+ArrowUp');
  await rows(other, 'BTC-USD,MSFT,AAPL');
  await accessible(p, 'watchlists');
  await shot(p, 'watchlists-light');
  await shot(other, 'watchlists-phone');
  await p.click('button[aria-label="Remove MSFT"]');
  await rows(other, 'BTC-USD,AAPL');
  await p.click('.toast button:has-text("Undo")');
  await rows(other, 'BTC-USD,MSFT,AAPL');
  await p.reload();
  await rows(p, 'BTC-USD,MSFT,AAPL');
  quiet(p);
  quiet(other);
});

test('several watchlists: renamed, moved, deleted and back', async () => {
  const p = await as(1);
  await p.goto(`${d.url}/watchlists`);
  for (const name of ['One', 'Two']) {
    await p.click('.pagehead button');
    await p.fill('dialog [name=name]', name);
    await p.click('dialog button.primary');
    await p.waitForSelector(`.watch h2:has-text("${name}")`, { state: 'attached' });
  }
  const tabs = (/** @type {string} */ wanted) => p.waitForFunction((w) => [...document.querySelectorAll('[aria-label=Watchlist] button')].map((x) => x.textContent).join() === w, wanted);
  await tabs('One,Two');
  await p.click('.watch header .menu button');
  await p.click('.menu button:has-text("Move to the left")');
  await tabs('Two,One');
  await p.click('.watch header .menu button');
  await p.click('.menu button:has-text("Rename")');
  await p.fill('dialog [name=name]', 'Second');
  await p.click('dialog button.primary');
  await tabs('Second,One');
  await p.click('.watch header .menu button');
  await p.click('.menu button:has-text("Delete")');
  await p.waitForSelector('.watch h2:has-text("One")');
  await p.click('.toast button:has-text("Undo")');
  await tabs('One,Second');
  quiet(p);
});

test('an alert comes true: said on every page of every device at once, kept, counted until it was seen', async () => {
  const p = await as(2), other = await as(2);
  await p.goto(`${d.url}/alerts`);
  await p.click('[data-key=add]');
  await p.fill('dialog [name=symbol]', 'AAPL');
  await p.click('dialog button:has-text("Falls to")');
  await p.fill('dialog [name=threshold]', 'a lot');
  await p.click('dialog button.primary');
  await p.waitForSelector('dialog .field.bad:has-text("Price")');
  await p.fill('dialog [name=threshold]', '0.01');
  await p.fill('dialog [name=note]', 'buy more');
  await p.click('dialog button.primary');
  const alert = p.locator('[data-alert]');
  await alert.locator(':text("falls to 0.01")').waitFor();
  await p.waitForFunction(() => /now [\d,.]+/.test(document.querySelector('[data-alert]')?.textContent ?? ''));
  await alert.locator('button[aria-label^=Edit]').click();
  await p.fill('dialog [name=threshold]', '99999');
  await p.click('dialog button.primary');
  await other.waitForSelector('.toast:has-text("AAPL fell to")');
  await p.waitForSelector('[data-firing]:has-text("AAPL fell to"):has-text("buy more"):has-text("new")');
  await alert.locator('.tag:has-text("rests")').waitFor();
  await other.waitForSelector('.nav .news:has-text("1")');
  await accessible(p, 'alerts');
  await shot(p, 'alerts-light');
  await other.click('.toast button:has-text("Show")');
  await other.waitForSelector('[data-firing]');
  await other.click('button:has-text("Mark all as seen")');
  await p.waitForFunction(() => !document.querySelector('.news') && !document.querySelector('[data-firing] .tag'));
  await alert.locator('button:has-text("Arm again")').click();
  await p.waitForFunction(() => document.querySelectorAll('[data-firing]').length === 2);
  await alert.locator('button[aria-label^=Delete]').click();
  await p.waitForSelector('[data-alert]', { state: 'detached' });
  assert.equal(await p.locator('[data-firing]').count(), 2, 'what came true stays');
  quiet(p, /status of 422/);
  quiet(other);
});

test('who was away is told once, in one sentence', async () => {
  const p = await as(0);
  await p.evaluate(async () => {
    for (const symbol of ['AAPL', 'MSFT']) await fetch('/api/alerts', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ symbol, kind: 'below', threshold: '99999' }) });
  });
  await p.waitForFunction(() => document.querySelector('.nav .news')?.textContent?.startsWith('2'));
  const later = await page(await b.newContext(modes.light));
  await later.addInitScript(() => { const real = Date.now; Date.now = () => real() + 3600_000; }); // to this page it was an hour ago
  await logIn(later, d.url, d.user());
  await later.waitForSelector('.toast:has-text("2 alerts came true while you were away")');
  await later.reload();
  await later.waitForSelector('.nav .news:has-text("2")');
  await later.waitForSelector('.pill[data-state=live]');
  assert.equal(await later.locator('.toast').count(), 0, 'counted, and not told again');
  quiet(p);
  quiet(later);
});

test('a message that a webhook has not taken is said with what came true, at once; this machine is not reached', async () => {
  let reached = 0;
  const receiver = createServer((socket) => { reached++; socket.destroy(); });
  await new Promise((r) => receiver.listen(0, '127.0.0.1', () => r(undefined)));
  try {
    const p = await as(1);
    await p.goto(`${d.url}/alerts`);
    await alertWithWebhook(p, '99999', `https://localhost:${/** @type {import('node:net').AddressInfo} */ (receiver.address()).port}/hook`);
    await p.waitForSelector('[data-firing]:has-text("AAPL fell to"):has-text("Webhook: the address is not a public one")');
    await accessible(p, 'alerts whose webhook takes nothing');
    await shot(p, 'alerts-webhook');
    quiet(p);
  } finally {
    receiver.close();
  }
  assert.equal(reached, 0, 'a name that leads here is no way in');
});

test('an alert whose webhook has lost its secret says so, until the address is given again', async () => {
  let own = await demo();
  try {
    const before = await page(await b.newContext(modes.light));
    await logIn(before, own.url, own.user());
    await before.goto(`${own.url}/alerts`);
    await alertWithWebhook(before, '0.01', 'https://example.org/hook');
    quiet(before);
    await before.context().close();
    await own.stop();
    own = await demo({ data: own.data, env: { SECRET_KEY: randomBytes(32).toString('hex') } }); // and the one before is gone
    const p = await page(await b.newContext(modes.light));
    await logIn(p, own.url, own.user());
    await p.goto(`${own.url}/alerts`);
    const alert = p.locator('[data-alert]');
    await alert.locator(':text("Webhook: its secret cannot be opened any more")').waitFor();
    await accessible(p, 'an alert whose webhook has lost its secret');
    await alert.locator('button[aria-label^=Edit]').click();
    await p.click('dialog button.primary');
    await p.click('dialog button:has-text("I have it")');
    await alert.locator(':text("Webhook:")').waitFor({ state: 'detached' });
    await alert.locator(':text("webhook")').waitFor();
    quiet(p);
  } finally {
    await own.stop();
    own.remove();
  }
});
