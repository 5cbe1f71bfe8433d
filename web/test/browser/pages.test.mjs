import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { accessible, browser, demo, logIn, modes, page, quiet, shot, tidy } from './harness.mjs';

// Every page in light, dark and on a phone: it shows, axe finds nothing, it fits, and a picture is kept.

/** @type {Awaited<ReturnType<typeof demo>>} */ let d;
/** @type {import('playwright-core').Browser} */ let b;

before(async () => { [d, b] = await Promise.all([demo(), browser()]); });
afterEach(() => tidy(b, 'pages'));
after(async () => {
  await b?.close();
  await d?.stop();
  d?.remove();
});

/** @type {[name:string, path:string, ready:string, act?:(p:import('playwright-core').Page) => Promise<any>][]} */
const pages = [
  ['home', '/', '[data-row], [data-row-card]', (p) => p.waitForSelector('.plot canvas, .plot .none')],
  ['detail', '/', '[data-row], [data-row-card]', async (p) => {
    await p.locator('[data-row] .sym button, [data-row-card] button').first().click();
    await p.waitForSelector('dialog .facts');
    await p.waitForSelector('dialog .plot canvas, dialog .plot .none');
  }],
  ['add', '/', '[data-row], [data-row-card]', async (p) => { await p.click('[data-key=add]'); await p.waitForSelector('dialog [name=symbol]'); }],
  ['activity', '/activity', 'tbody tr[data-row], .cards.plain li'],
  ['watchlists', '/watchlists', '.watch tr[data-row] .delta i'],
  ['alerts', '/alerts', '[data-alert]'],
  ['sessions', '/sessions', '.device'],
  ['settings', '/settings', '#zone'],
  ['status', '/status', '.parts li'],
  ['docs', '/docs', '.prose'],
  ['admin-sessions', '/admin', 'tr[data-session]'],
  ['admin-rollout', '/admin#rollout', '.slider'],
  ['admin-audit', '/admin#audit', 'tbody tr'],
  ['admin-notices', '/admin#notices', 'form [name=text]'],
  ['keyboard', '/', '[data-row], [data-row-card]', async (p) => { await p.keyboard.press('?'); await p.waitForSelector('dialog kbd'); }],
];

for (const [mode, options] of Object.entries(modes)) {
  test(`log-in, ${mode}`, async () => {
    const p = await page(await b.newContext(options));
    await p.goto(`${d.url}/login`);
    await p.waitForSelector('form');
    await accessible(p, `login, ${mode}`);
    await shot(p, `login-${mode}`);
    quiet(p);
  });

  test(`every page, ${mode}`, async () => {
    const person = await page(await b.newContext(options)), admin = await page(await b.newContext(options));
    await logIn(person, d.url, d.user());
    await logIn(admin, d.url, d.user('admin'));
    await furnish(person);
    /** @type {string[]} */ const wrong = [];
    for (const entry of pages) await look(entry, entry[0].startsWith('admin') ? admin : person, mode).catch((e) => wrong.push(`${entry[0]}: ${e.message}`));
    assert.deepEqual(wrong, []);
  });
}

test('every width between a phone and a desk fits, also with all the links of an administrator', async () => {
  const p = await page(await b.newContext(modes.light));
  await logIn(p, d.url, d.user('admin'));
  for (const width of [320, 480, 700, 901, 960, 1021, 1100]) {
    await p.setViewportSize({ width, height: 800 });
    await p.waitForFunction((w) => innerWidth === w, width);
    await fits(p, `home, ${width} px`);
    const top = await p.locator('header.top > div').evaluate((e) => e.scrollWidth - e.clientWidth);
    assert.ok(top <= 0, `the top bar is ${top} px too wide at ${width} px`);
  }
  quiet(p);
});

/** What the demo's people do not have yet: a watchlist, an alert that waits and one that came true. @param {import('playwright-core').Page} p */
async function furnish(p) {
  await p.evaluate(async () => {
    const ask = (/** @type {string} */ path, /** @type {any} */ body = undefined) => fetch(path, body && { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }).then((r) => r.json());
    if ((await ask('/api/watchlists')).watchlists.length) return;
    await ask('/api/watchlists', { name: 'Technology', symbols: ['AAPL', 'MSFT', 'BTC-USD', 'EUR-USD'] });
    await ask('/api/watchlists', { name: 'Later', symbols: ['ETH-USD'] });
    await ask('/api/alerts', { symbol: 'AAPL', kind: 'below', threshold: '99999', note: 'came true' });
    await ask('/api/alerts', { symbol: 'BTC-USD', kind: 'day_pct', threshold: '-40', once: false });
  });
}

/** @param {typeof pages[number]} entry @param {import('playwright-core').Page} p @param {string} mode */
async function look([name, path, ready, act], p, mode) {
  await p.goto('about:blank'); // a change of the hash alone would not load the page
  await p.goto(d.url + path);
  await p.waitForSelector(ready);
  await act?.(p);
  await p.waitForTimeout(300); // a first tick, a drawn chart
  await shot(p, `${name}-${mode}`);
  await accessible(p, `${name}, ${mode}`);
  await fits(p, name);
  quiet(p);
}

/** Nothing sticks out: the page scrolls down and never sideways. @param {import('playwright-core').Page} p @param {string} name */
async function fits(p, name) {
  const over = await p.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (over > 0) throw new Error(`${name} is ${over} px wider than the screen`);
}
