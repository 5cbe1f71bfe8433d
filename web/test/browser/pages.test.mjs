import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { accessible, browser, demo, logIn, modes, page, quiet, redis, shot, tidy } from './harness.mjs';

// Every page in light, dark and on a phone: it shows, axe finds nothing, it fits, and a picture is kept.

/** @type {Awaited<ReturnType<typeof demo>>} */ let d;
/** @type {import('playwright-core').Browser} */ let b;

before(async () => { [d, b] = await Promise.all([demo(), browser()]); });
afterEach((t) => tidy(b, 'pages', t));
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
    assert.deepEqual(await p.locator('dialog .facts').evaluate((box) => {
      const ends = new Map([...box.children].map((e) => [Math.round(e.getBoundingClientRect().top), e.getBoundingClientRect().right]));
      return [...ends.values()].filter((end) => end < box.getBoundingClientRect().right - 1);
    }), [], 'no line of facts is left half empty');
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
  ['admin-health', '/admin#health', '.parts li'],
  ['keyboard', '/', '[data-row], [data-row-card]', async (p) => { await p.keyboard.press('?'); await p.waitForSelector('dialog kbd'); }],
];

/** @typedef {import('playwright-core').Page} Page */

/** Presses, and waits for the dialog. @param {string} button @param {string} [shown] */
const opens = (button, shown = 'dialog[open] form') => async (/** @type {Page} */ p) => { await p.locator(button).first().click(); await p.waitForSelector(shown); };

/** The dialogs, by the page on which they open, one after the other. @type {[path:string, ready:string, dialogs:Record<string, (p:Page) => Promise<any>>][]} */
const dialogs = [
  ['/', '[data-row], [data-row-card]', {
    'new-portfolio': async (p) => { await p.click('.picker'); await opens('button:has-text("New portfolio")')(p); },
    manage: async (p) => { await p.click('.picker'); await opens('button:has-text("Portfolio and accounts")')(p); await p.waitForSelector('dialog li'); },
    account: async (p) => { await p.click('.picker'); await p.click('button:has-text("Portfolio and accounts")'); await opens('dialog button:has-text("account")', 'dialog [name=oversell]')(p); },
  }],
  ['/activity', 'tbody tr[data-row], .cards.plain li', {
    import: async (p) => {
      await opens('button:has-text("Import")', '#file')(p);
      await p.setInputFiles('#file', { name: 'trades.csv', mimeType: 'text/csv', buffer: Buffer.from('Date,Code,DataSource,Currency,Price,Quantity,Action,Fee,Note\n2025-01-06,AAPL,YAHOO,USD,101.5,2,buy,1,one\n2025-01-07,,YAHOO,USD,x,2,buy,1,two\n') });
      await p.waitForSelector('dialog .report .tag.bad');
    },
    'edit-transaction': opens('button[aria-label^=Edit], .cards.plain button'),
  }],
  ['/watchlists', '.watch', { 'new-watchlist': opens('button:has-text("New list")') }],
  ['/alerts', '[data-alert]', { 'new-alert': opens('[data-key=add]'), 'edit-alert': opens('button[aria-label^=Edit]') }],
  ['/sessions', '.device', { 'rename-device': opens('button[aria-label^=Rename]') }],
  ['/admin#rollout', '.slider', { 'admin-rollback': opens('button:has-text("Roll back now")'), 'admin-lockdown': opens('li:has-text("Lockdown") button') }],
  ['/admin', 'tr[data-session]', {
    'admin-revoke-all': opens('button:has-text("Revoke all …")'),
    'admin-revoke-some': async (p) => {
      for (const box of await p.locator('tr[data-session] input').all()) await box.check();
      await opens('button:has-text("selected")')(p);
    },
    'admin-step-up': async (p) => {
      const { id } = await p.evaluate(() => fetch('/api/auth/status').then((r) => r.json()).then((s) => s.session));
      await redis(d.redis_url, ['HSET', `rt:s:{${id.slice(0, 12)}}${id.slice(12)}`, 'auth', String(Date.now() - 3600_000)]);
      await opens('tr[data-session] button.danger')(p);
      await p.fill('dialog [name=reason]', 'a test');
      await p.click('dialog button.danger');
      await p.waitForSelector('dialog [name=password]');
    },
  }],
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
    quiet(person);
    quiet(admin);
  });

  test(`every dialog, an incident and the end of a session, ${mode}`, async () => {
    const person = await page(await b.newContext(options)), admin = await page(await b.newContext(options));
    await logIn(person, d.url, d.user());
    await logIn(admin, d.url, d.user('admin'));
    await furnish(person);
    const ask = (/** @type {string} */ method, /** @type {string} */ path, /** @type {any} */ body) => admin.evaluate(([m, p, b]) => fetch(p, { method: m, headers: { 'Content-Type': 'application/json' }, body: b }).then((r) => r.json()), [method, path, JSON.stringify(body)]);
    const mine = await person.evaluate(() => fetch('/api/auth/status').then((r) => r.json()).then((s) => s.session.id));
    const { id } = await ask('POST', '/api/admin/notices', { level: 'critical', text: 'Prices of one exchange are late. We are on it.' });
    await person.goto(`${d.url}/status`);
    await person.waitForSelector('.banner.critical');
    await seen(person, 'status-incident', mode);
    await ask('DELETE', `/api/admin/notices/${id}`, {}).catch(() => null);
    /** @type {string[]} */ const wrong = [];
    for (const [path, ready, list] of dialogs) {
      const p = path.startsWith('/admin') ? admin : person;
      for (const [name, open] of Object.entries(list)) {
        await p.goto('about:blank');
        await p.goto(d.url + path);
        await p.waitForSelector(ready);
        await open(p).then(() => seen(p, `dialog-${name}`, mode)).catch((e) => wrong.push(`${name}: ${e.message}`));
      }
    }
    assert.deepEqual(wrong, []);
    await person.goto(d.url);
    await person.waitForSelector('.pill[data-state=live]');
    const other = await page(await b.newContext(options)); // whose password was given just now
    await logIn(other, d.url, d.user('admin'));
    await other.evaluate((s) => fetch(`/api/admin/sessions/${s}`, { method: 'DELETE', headers: { 'Content-Type': 'application/json' }, body: '{"reason":"a test"}' }), mine);
    await person.waitForSelector('dialog[role=alertdialog]');
    await seen(person, 'dialog-ended', mode);
    quiet(person);
    quiet(admin, /status of 403/);
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
  await seen(p, name, mode);
}

/** A picture is kept, axe finds nothing, and it fits. @param {import('playwright-core').Page} p @param {string} name @param {string} mode */
async function seen(p, name, mode) {
  await p.evaluate(() => new Promise((drawn) => { requestAnimationFrame(() => requestAnimationFrame(drawn)); }));
  await shot(p, `${name}-${mode}`);
  await accessible(p, `${name}, ${mode}`);
  await fits(p, name);
}

/** Nothing sticks out: the page scrolls down and never sideways. @param {import('playwright-core').Page} p @param {string} name */
async function fits(p, name) {
  const over = await p.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (over > 0) throw new Error(`${name} is ${over} px wider than the screen`);
}
