import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { browser, demo, logIn, modes, moves, page, quiet, tidy } from './harness.mjs';

/** @type {Awaited<ReturnType<typeof demo>>} */ let d;
/** @type {import('playwright-core').Browser} */ let b;
/** @type {import('playwright-core').Page} */ let p;

before(async () => { [d, b] = await Promise.all([demo(), browser()]); });
afterEach((t) => tidy(b, 'home', t));
after(async () => {
  await b?.close();
  await d?.stop();
  d?.remove();
});

/** A page of a user, with the holdings on screen. @param {number} [n] */
async function home(n = 0) {
  p = await page(await b.newContext(modes.light));
  await logIn(p, d.url, d.user('user', n));
}

/** @param {string} selector */
const texts = (selector) => p.locator(selector).allTextContents();
const symbols = async () => p.locator('[data-row]').evaluateAll((rows) => rows.map((r) => r.getAttribute('data-row')));

/** Rows are drawn after the click, by the browser's next frame. @param {(string|null)[]} wanted */
const inOrder = (wanted) => p.waitForFunction((/** @type {string} */ w) => [...document.querySelectorAll('[data-row]')].map((r) => r.getAttribute('data-row')).join() === w, wanted.join());

test('sort, filter, group and columns', async () => {
  await home();
  await p.click('th button:has-text("Symbol")');
  const ascending = (await symbols()).sort();
  await inOrder(ascending);
  assert.equal(await p.getAttribute('th:has(button:has-text("Symbol"))', 'aria-sort'), 'ascending');
  await p.click('th button:has-text("Symbol")');
  await inOrder([...ascending].reverse());
  await p.fill('.holdings input[type=search]', String(ascending[0]));
  await p.waitForFunction(() => document.querySelectorAll('[data-row]').length === 1);
  await p.fill('.holdings input[type=search]', '');
  await p.selectOption('select[aria-label="Group holdings"]', 'kind');
  await p.waitForSelector('tr.group');
  await p.click('button:has-text("Columns")');
  await p.click('[role=menuitemcheckbox]:has-text("Income")');
  assert.ok((await texts('thead th')).includes('Income'));
  await p.reload();
  await p.waitForSelector('tr.group');
  assert.ok((await texts('thead th')).includes('Income'), 'what was chosen is kept');
  quiet(p);
});

test('hidden amounts are not in the page; prices and percentages stay', async () => {
  await home();
  await p.keyboard.press('p');
  await p.waitForFunction(() => document.querySelector('.total')?.textContent?.includes('•'));
  const row = await texts('[data-row] >> nth=0');
  assert.match(row[0], /•.*%/);
  assert.equal(await p.locator('.total').textContent().then((t) => /\d{3}/.test(t ?? '')), false);
  quiet(p);
});

test('pause holds every figure still, and the space key resumes', async () => {
  await home();
  const other = await p.context().newPage();
  await other.goto(d.url);
  await other.waitForSelector('[data-row]');
  await p.click('button:has-text("Pause")');
  const still = await p.textContent('tbody');
  for (let n = 0; n < 3; n++) await moves(other, 'tbody'); // what the paused page was sent too
  assert.equal(await p.textContent('tbody'), still);
  await p.locator('h1').first().click();
  await p.keyboard.press('Space');
  await moves(p, 'tbody');
  quiet(p);
});

test('the keyboard alone: rows, details, help, pages, search', async () => {
  await home();
  await p.keyboard.press('j');
  await p.keyboard.press('j');
  const focused = await p.evaluate(() => document.activeElement?.getAttribute('data-row'));
  assert.equal(focused, (await symbols())[1]);
  await p.keyboard.press('Enter');
  await p.waitForSelector('dialog.side');
  assert.match((await p.textContent('dialog.side h2')) ?? '', new RegExp(`^${focused}`));
  await p.keyboard.press('Escape');
  await p.waitForSelector('dialog.side', { state: 'detached' });
  await p.keyboard.press('/');
  assert.equal(await p.evaluate(() => document.activeElement?.getAttribute('type')), 'search');
  await p.keyboard.press('Tab');
  await p.evaluate(() => /** @type {HTMLElement} */ (document.activeElement)?.blur());
  await p.keyboard.press('g');
  await p.keyboard.press('s');
  await p.waitForSelector('.device');
  assert.equal(new URL(p.url()).pathname, '/sessions');
  quiet(p);
});

test('the curve has ranges and the allocation has traits', async () => {
  await home();
  await p.waitForSelector('.plot canvas');
  for (const range of ['1M', 'All', '1D']) {
    await p.click(`[aria-label="Range of the curve"] button:has-text("${range}")`);
    await p.waitForSelector('.plot canvas');
  }
  for (const by of ['Currency', 'Account', 'Symbol']) {
    await p.click(`[aria-label="Allocation by"] button:has-text("${by}")`);
    await p.waitForSelector('.legend li');
  }
  const weights = (await texts('.legend b')).map((t) => parseFloat(t));
  assert.ok(Math.abs(weights.reduce((a, w) => a + w, 0) - 100) < 0.11, `${weights} add up to 100`);
  quiet(p);
});

test('a line adds, undo takes back, edit changes, delete and undo bring back', async () => {
  await home(1);
  const [symbol] = await symbols();
  await p.goto(`${d.url}/activity`);
  await p.waitForSelector('tbody tr[data-row]');
  const count = await p.locator('tbody tr[data-row]').count();
  await p.fill('#quick', 'buy three X');
  assert.match((await p.textContent('#quick-said')) ?? '', /not understood|How many/);
  await p.fill('#quick', `buy 3 ${symbol} @ 12.5 fee 1`);
  await p.keyboard.press('Enter');
  const added = p.locator('tbody tr[data-row]').first();
  await p.waitForFunction((n) => document.querySelectorAll('tbody tr[data-row]').length === n, count + 1);
  assert.match((await added.textContent()) ?? '', /Buy.*3.*12\.50.*37\.50/);
  await p.click('.toast button:has-text("Undo")');
  await p.waitForFunction((n) => document.querySelectorAll('tbody tr[data-row]').length === n, count);
  const row = p.locator('tbody tr[data-row]').first(), id = await row.getAttribute('data-row');
  await row.locator('button[aria-label^=Edit]').click();
  await p.fill('dialog [name=note]', 'looked at again');
  await p.click('dialog button.primary');
  await p.waitForSelector(`tr[data-row="${id}"]:has-text("looked at again")`);
  await p.locator(`tr[data-row="${id}"] button[aria-label^=Delete]`).click();
  await p.waitForSelector(`tr[data-row="${id}"]`, { state: 'detached' });
  await p.locator('.toast button:has-text("Undo")').last().click();
  await p.waitForSelector(`tr[data-row="${id}"]:has-text("looked at again")`);
  quiet(p);
});

test('an edit takes away what was emptied, and a purchase becomes a dividend of its sum', async () => {
  await home(1);
  const [symbol] = await symbols();
  await p.goto(`${d.url}/activity`);
  await p.waitForSelector('tbody tr[data-row]');
  await p.fill('#quick', `buy 3 ${symbol} @ 4321.09 fee 1`);
  await p.keyboard.press('Enter');
  const id = await p.locator('tbody tr[data-row]:has-text("4,321.09")').getAttribute('data-row');
  const cell = (/** @type {number} */ n, /** @type {string} */ text) => p.waitForSelector(`tr[data-row="${id}"] td:nth-child(${n}):has-text("${text}")`);
  const edit = async (/** @type {() => Promise<any>} */ change) => {
    await p.click(`tr[data-row="${id}"] button[aria-label^=Edit]`);
    await change();
    await p.click('dialog button.primary');
    await p.waitForSelector('dialog', { state: 'detached' });
  };
  await edit(() => p.fill('dialog [name=fee]', ''));
  await cell(7, '–');
  await edit(() => p.selectOption('dialog [name=type]', 'dividend'));
  await cell(4, '–');
  await cell(6, '12,963.27');
  await p.click(`tr[data-row="${id}"] button[aria-label^=Delete]`);
  await p.waitForSelector(`tr[data-row="${id}"]`, { state: 'detached' });
  quiet(p);
});

test('what was typed before the accounts came is kept, and so is what was not touched', async () => {
  await home(1);
  await p.goto(`${d.url}/activity`);
  await p.waitForSelector('tbody tr[data-row]');
  const ledger = () => p.evaluate(async () => {
    const { portfolios } = await (await fetch('/api/portfolios')).json();
    const shown = document.querySelector('tbody tr[data-row]')?.getAttribute('data-row');
    const lists = await Promise.all(portfolios.map((/** @type {any} */ f) => fetch(`/api/portfolios/${f.id}/transactions`).then((r) => r.json())));
    return lists.flatMap((l) => l.transactions).find((/** @type {any} */ t) => t.id === shown);
  });
  const was = await ledger();
  let answer = () => {};
  const held = new Promise((r) => { answer = () => r(undefined); });
  await p.route('**/accounts', async (r) => { await held; await r.continue(); });
  await p.locator(`tr[data-row="${was.id}"] button[aria-label^=Edit]`).click();
  await p.fill('dialog [name=note]', 'in a hurry');
  answer();
  await p.waitForSelector('dialog [name=account] option', { state: 'attached' });
  await p.click('dialog button.primary');
  await p.waitForSelector(`tr[data-row="${was.id}"]:has-text("in a hurry")`);
  const is = await ledger();
  assert.deepEqual([is.account, is.executed_at, is.note], [was.account, was.executed_at, 'in a hurry']);
  quiet(p);
});

test('a field that is wrong says so, where it is', async () => {
  await home(1);
  const [symbol] = await symbols();
  await p.click('[data-key=add]');
  await p.selectOption('dialog [name=type]', 'sell');
  await p.fill('dialog [name=symbol]', symbol ?? '');
  await p.fill('dialog [name=quantity]', '1000000');
  await p.fill('dialog [name=price]', '1');
  await p.click('dialog button.primary');
  await p.waitForSelector('dialog .field.bad .err');
  assert.match((await p.textContent('dialog .field.bad')) ?? '', /Quantity.*than the account holds/);
  assert.equal(await p.evaluate(() => document.activeElement?.getAttribute('name')), 'quantity');
  quiet(p);
});

test('settings are shown at once, on every page, in another window too, and are kept', async () => {
  await home();
  const other = await p.context().newPage();
  await other.goto(d.url);
  await other.waitForSelector('[data-row]');
  await p.click('button[title=Account]');
  await p.click('.menu a[href="/settings"]');
  await p.selectOption('#locale', 'de-DE');
  await p.selectOption('#zone', 'Asia/Tokyo');
  await p.click('[aria-label=Theme] button:has-text("Dark")');
  await p.click('[aria-label=Palette] button:has-text("Blue / orange")');
  await p.click('[aria-label=Density] button:has-text("Compact")');
  await p.waitForSelector(':text("1.234.567,89")');
  const said = (await p.locator('section[aria-labelledby=region] p').textContent()) ?? '';
  const [hour] = new Intl.DateTimeFormat('de-DE', { timeStyle: 'short', timeZone: 'Asia/Tokyo' }).format(new Date()).split(':');
  assert.match(said, new RegExp(`, (${hour}|${String((Number(hour) + 23) % 24).padStart(2, '0')}):`), 'the clock of Tokyo');
  await other.waitForFunction(() => /\d\.\d{3},\d\d/.test(document.querySelector('.total')?.textContent ?? ''));
  const look = () => p.evaluate(() => ({ .../** @type {any} */ (document.documentElement.dataset), row: getComputedStyle(document.documentElement).getPropertyValue('--row').trim(), scheme: getComputedStyle(document.documentElement).colorScheme }));
  const wanted = { theme: 'dark', palette: 'blue-orange', density: 'compact', row: '34px', scheme: 'dark' };
  assert.deepEqual(await look(), wanted);
  await p.goto(d.url);
  await p.waitForSelector('[data-row]');
  assert.deepEqual(await look(), wanted, 'kept');
  quiet(p);
});
