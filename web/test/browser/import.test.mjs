import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { accessible, browser, demo, logIn, modes, page, quiet, shot, tidy } from './harness.mjs';

/** @type {Awaited<ReturnType<typeof demo>>} */ let d;
/** @type {import('playwright-core').Browser} */ let b;

before(async () => { [d, b] = await Promise.all([demo(), browser()]); });
afterEach((t) => tidy(b, 'import', t));
after(async () => {
  await b?.close();
  await d?.stop();
  d?.remove();
});

const rows = ['Date,Code,DataSource,Currency,Price,Quantity,Action,Fee,Note', '2025-01-06,AAPL,YAHOO,USD,101.5,2,buy,1,one', '2025-02-03,MSFT,YAHOO,USD,20.25,3,buy,1,two'];

test('a long import says how far it is, also in another window', async () => {
  const p = await page(await b.newContext(modes.light));
  await logIn(p, d.url, d.user('user', 1));
  const other = await page(p.context());
  for (const each of [p, other]) {
    await each.goto(`${d.url}/activity`);
    await each.waitForSelector('tbody tr[data-row]');
    await each.waitForSelector('.pill[data-state=live]');
    await each.evaluate(() => {
      /** @type {Set<string>} */ const seen = /** @type {any} */ (globalThis).phases = new Set();
      new MutationObserver(() => { for (const e of document.querySelectorAll('.progress')) seen.add(`${e.getAttribute('data-phase')} of ${e.querySelector('progress')?.max}`); }).observe(document.body, { childList: true, subtree: true, attributes: true });
    });
  }
  const many = Array.from({ length: 6000 }, () => '2025-01-06,AAPL,YAHOO,USD,101.5,1,buy,0,');
  await p.click('button:has-text("Import")');
  await p.setInputFiles('#file', { name: 'many.csv', mimeType: 'text/csv', buffer: Buffer.from(`${[rows[0], ...many].join('\n')}\n`) });
  await p.waitForSelector('dialog [role=status]:has-text("6,000 new")');
  for (const each of [p, other]) {
    await each.waitForFunction(() => /** @type {any} */ (globalThis).phases.has('checking of 6000'));
    await each.waitForSelector('.progress', { state: 'detached' });
    quiet(each);
  }
});

test('a file is tried first, taken then, known the second time, and undone; the export has what is there', async () => {
  const p = await page(await b.newContext(modes.light));
  await logIn(p, d.url, d.user());
  await p.goto(`${d.url}/activity`);
  await p.waitForSelector('tbody tr[data-row]');
  const newest = async () => p.locator('tr[data-row]:has-text("2025")').count();
  const before_ = await newest();
  const choose = async () => {
    await p.click('button:has-text("Import")');
    await p.setInputFiles('#file', { name: 'trades.csv', mimeType: 'text/csv', buffer: Buffer.from(`${rows.join('\n')}\n`) });
    await p.waitForSelector('dialog [role=status]');
  };
  await choose();
  assert.match((await p.textContent('dialog [role=status]')) ?? '', /2 new/);
  await shot(p, 'import-light');
  await accessible(p, 'import');
  await p.click('button:has-text("Import 2 rows")');
  await p.waitForSelector('.toast:has-text("2 rows imported")');
  await p.waitForFunction((n) => [...document.querySelectorAll('tr[data-row]')].filter((r) => r.textContent?.includes('2025')).length === n + 2, before_);
  await choose();
  assert.match((await p.textContent('dialog [role=status]')) ?? '', /0 new.*2 known/);
  await p.click('dialog button:has-text("Cancel")');
  const [download] = await Promise.all([p.waitForEvent('download'), (async () => {
    await p.click('button:has-text("Export")');
    await p.click('a:has-text("CSV, for spreadsheets")');
  })()]);
  assert.match(download.suggestedFilename(), /\.csv$/);
  await p.click('button:has-text("Import")');
  await p.click('dialog li:has-text("trades.csv") button:has-text("Undo")');
  await p.waitForSelector('dialog li:has-text("trades.csv") .tag:has-text("undone")');
  await p.keyboard.press('Escape');
  await p.waitForFunction((n) => [...document.querySelectorAll('tr[data-row]')].filter((r) => r.textContent?.includes('2025')).length === n, before_);
  quiet(p);
});
