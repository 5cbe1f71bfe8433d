import assert from 'node:assert/strict';
import { after, afterEach, test } from 'node:test';
import { browser, demo, logIn, modes, moves, page, quiet, tidy } from './harness.mjs';

/** @type {import('playwright-core').Browser} */ let b;
/** @type {Awaited<ReturnType<typeof demo>>} */ let d;

afterEach((t) => tidy(b, 'outage', t));
after(async () => {
  await b?.close();
  await d?.stop();
  d?.remove();
});

test('the server goes and comes back under an open page: live again without a reload, and every write once', async () => {
  b = await browser();
  d = await demo();
  const p = await page(await b.newContext(modes.light));
  await logIn(p, d.url, d.user());
  await p.evaluate(() => { /** @type {any} */ (globalThis).notReloaded = true; });
  await p.waitForFunction(() => performance.getEntriesByType('resource').some((r) => /\/add-\w+\.js$/.test(r.name))); // loaded before it is needed
  const rows = await p.locator('[data-row]').count();

  await d.stop();
  await p.waitForSelector('.pill[data-state=waiting], .pill[data-state=connecting]');
  await p.waitForSelector('main.offline');
  assert.equal(await p.locator('[data-row]').count(), rows, 'what was known is still shown');
  const banner = p.locator('.banner:has-text("Not connected")'), said = await banner.textContent();
  await p.evaluate(() => { const was = document.querySelector('.banner'); /** @type {any} */ (globalThis).kept = () => was?.isConnected; });

  assert.match(said ?? '', /What you see is from \d/);

  // A transaction that is entered meanwhile waits, and is sent once the server is there.
  const symbol = await p.locator('[data-row]').first().getAttribute('data-row');
  const before = await p.locator(`[data-row="${symbol}"] td`).nth(1).textContent();
  await p.click('[data-key=add]');
  await p.fill('dialog [name=symbol]', symbol ?? '');
  await p.fill('dialog [name=quantity]', '7');
  await p.fill('dialog [name=price]', '50');
  await p.click('dialog button.primary');

  assert.equal(await p.evaluate(() => /** @type {any} */ (globalThis).kept()), true, 'the banner stays through every attempt');
  assert.equal(await banner.textContent(), said, 'and what is on screen is as old as it was');
  const again = await demo({ data: d.data, listen: new URL(d.url).host });
  d = { ...again };
  await p.waitForSelector('.pill[data-state=live]');
  await p.waitForSelector('.toast');
  await p.waitForFunction(([s, q]) => document.querySelectorAll(`[data-row="${s}"] td`)[1]?.textContent !== q, [symbol, before]);
  await moves(p, '.total');
  const number = (/** @type {string|null} */ t) => Number((t ?? '').replace(/,/g, ''));
  const now = number(await p.locator(`[data-row="${symbol}"] td`).nth(1).textContent());
  assert.ok(Math.abs(now - number(before) - 7) < 1e-9, `${before} + 7 is ${now}: entered once`);
  await p.click('a[href="/activity"]');
  const entered = p.locator(`tbody tr[data-row]:has-text("${symbol}"):has-text("350.00")`);
  await entered.first().waitFor();
  assert.equal(await entered.count(), 1, 'and it stands in the ledger once');
  assert.equal(await p.evaluate(() => /** @type {any} */ (globalThis).notReloaded), true);
  quiet(p, /WebSocket connection|ERR_CONNECTION_REFUSED|Failed to load resource|status of 503/);
});
