import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { browser, demo, logIn, modes, page, quiet, redis, register, shot, tidy } from './harness.mjs';

/** @type {Awaited<ReturnType<typeof demo>>} */ let d;
/** @type {import('playwright-core').Browser} */ let b;

before(async () => { [d, b] = await Promise.all([demo(), browser()]); });
afterEach((t) => tidy(b, 'admin', t));
after(async () => {
  await b?.close();
  await d?.stop();
  d?.remove();
});

/** @param {{email:string, password:string}} user */
async function as(user) {
  const p = await page(await b.newContext(modes.light));
  await logIn(p, d.url, user);
  return p;
}

/** @param {import('playwright-core').Page} p @param {string} tab */
async function console_(p, tab) {
  await p.goto('about:blank');
  await p.goto(`${d.url}/admin#${tab}`);
  await p.waitForSelector('[role=tabpanel]');
}

test('a notice reaches every open page, and goes when it is taken away', async () => {
  const user = await as(d.user()), admin = await as(d.user('admin'));
  await console_(admin, 'notices');
  await admin.fill('[name=text]', 'Maintenance tonight at ten');
  await admin.selectOption('[name=level]', 'warning');
  await admin.click('button:has-text("Send to everyone")');
  await user.waitForSelector('.banner.warning:has-text("Maintenance tonight")');
  await admin.click('button:has-text("Take away")');
  await user.waitForSelector('.banner:has-text("Maintenance tonight")', { state: 'detached' });
  quiet(user);
  quiet(admin);
});

test('the share of sessions, a rollback and forward again; every act is in the audit log', async () => {
  const user = await as(d.user()), admin = await as(d.user('admin'));
  await console_(admin, 'rollout');
  const act = async (/** @type {string} */ button, /** @type {string} */ reason) => {
    await admin.click(`[role=tabpanel] button:has-text("${button}")`);
    await admin.fill('dialog [name=reason]', reason);
    await admin.click('dialog button.primary');
    await admin.waitForSelector('dialog', { state: 'detached' });
  };
  await admin.locator('[role=tabpanel] button', { hasText: /^50$/ }).click();
  await act('Set to 50 %', 'half of them');
  await admin.waitForSelector('.total:has-text("50 %")');
  await act('Roll back now', 'a drill');
  await admin.waitForSelector('.tag:has-text("rolled back")');
  assert.equal(await user.getAttribute('.pill', 'data-state'), 'live', 'a rollback signs nobody out');
  await act('Forward again', 'the drill is over');
  await admin.locator('[role=tabpanel] button', { hasText: /^100$/ }).click();
  await act('Set to 100 %', 'all of them again');
  await console_(admin, 'audit');
  await admin.waitForSelector('tbody tr:has-text("rollout.set"):has-text("a drill")');
  await admin.fill('input[placeholder=action]', 'rollout.set');
  await admin.keyboard.press('Enter');
  await admin.waitForFunction(() => [...document.querySelectorAll('tbody tr')].every((r) => r.textContent?.includes('rollout.set')));
  quiet(user);
  quiet(admin);
});

test('the console finds a session and ends all of a user; the receipt counts its sockets', async () => {
  const user = await as(d.user('user', 1)), again = await as(d.user('user', 1)), admin = await as(d.user('admin'));
  await console_(admin, 'sessions');
  await admin.fill('input[aria-label="Search sessions"]', d.user('user', 1).email);
  await admin.waitForFunction(() => document.querySelectorAll('tr[data-session]').length === 2);
  await admin.locator('tr[data-session]').first().locator('.menu button').first().click();
  await admin.click('button:has-text("Revoke all of this user")');
  await admin.fill('dialog [name=reason]', 'leaves the company');
  await admin.click('dialog button.primary');
  for (const p of [user, again]) await p.waitForSelector('dialog[role=alertdialog]:has-text("by an administrator")');
  await admin.waitForSelector('[role=log] li:has-text("2 sessions")');
  await admin.waitForSelector('[role=log] li:has-text("server "):has-text("2 sockets closed (")');
  for (const socket of ['socket 1 on', 'socket 2 on']) assert.match((await admin.locator('[role=log] li li', { hasText: socket }).textContent()) ?? '', /closed \(\d+\.\d ms\)/);
  await shot(admin, 'admin-receipt-light');
  quiet(user);
  quiet(admin);
});

test('a lockdown closes everyone but administrators, and says so', async () => {
  const user = await as(d.user()), admin = await as(d.user('admin'));
  await console_(admin, 'rollout');
  const turn = async (/** @type {string} */ text) => {
    await admin.locator('li:has-text("Lockdown") button').click();
    await admin.fill('dialog [name=reason]', text);
    await admin.click('dialog button.primary');
    await admin.waitForSelector('dialog', { state: 'detached' });
  };
  await turn('a test of the lock');
  await user.waitForSelector('dialog[role=alertdialog]:has-text("locked down")');
  assert.equal(await admin.getAttribute('.pill', 'data-state'), 'live');
  await turn('over');
  quiet(user);
  quiet(admin);
});

test('the list of own devices is live: a log-in, a name, windows that open and close, and an end, without a reload', async () => {
  const user = { email: `dan-${Date.now()}@example.com`, password: 'a sentence is the best password' };
  const here = await page(await b.newContext(modes.light));
  await register(here, d.url, user);
  await here.goto(`${d.url}/sessions`);
  await here.waitForSelector('.device');
  await here.waitForSelector('.pill[data-state=live]');
  let asked = 0;
  here.on('request', (r) => { if (r.url().endsWith('/api/auth/sessions')) asked++; });
  const there = await as(user), others = here.locator('.device:not(:has-text("This device"))');
  await others.waitFor();
  const windows = (/** @type {number} */ n) => others.locator(`dl:has-text("Open windows${n}")`).waitFor();
  await windows(1);
  const second = await there.context().newPage();
  await second.goto(`${d.url}/sessions`);
  await windows(2);
  await second.locator('.device', { hasText: 'This device' }).locator('button[aria-label^=Rename]').click();
  await second.fill('dialog [name=name]', 'The other one');
  await second.click('dialog button.primary');
  await here.locator('.device:has-text("The other one")').waitFor();
  await second.close();
  await windows(1);
  assert.ok(asked <= 4, `the list was asked for ${asked} times: when something began or was renamed, and not by the clock`);
  const id = await others.getAttribute('data-session');
  const admin = await as(d.user('admin'));
  assert.equal(await admin.evaluate((i) => fetch(`/api/admin/sessions/${i}`, { method: 'DELETE', headers: { 'Content-Type': 'application/json' }, body: '{"reason":"test"}' }).then((r) => r.status), id), 200);
  await others.waitFor({ state: 'detached' });
  await here.waitForSelector('section:has-text("Recently ended") td:has-text("The other one")');
  quiet(here);
});

test('an answer that was on its way when a window opened does not take it back', async () => {
  const user = { email: `eva-${Date.now()}@example.com`, password: 'a sentence is the best password' };
  const here = await page(await b.newContext(modes.light));
  await register(here, d.url, user);
  await here.goto(`${d.url}/sessions`);
  await here.waitForSelector('.device');
  await here.waitForSelector('.pill[data-state=live]');
  let [asked, opened] = [() => {}, () => {}];
  const wasAsked = new Promise((done) => { asked = () => done(undefined); }), wasOpened = new Promise((done) => { opened = () => done(undefined); });
  await here.route('**/api/auth/sessions', async (route) => {
    const answer = await route.fetch();
    asked();
    await wasOpened;
    await route.fulfill({ response: answer });
  });
  const context = await b.newContext(modes.light);
  assert.ok((await context.request.post(`${d.url}/api/auth/login`, { data: user })).ok());
  await wasAsked; // with no window open
  const there = await page(context);
  await there.goto(d.url);
  await there.waitForSelector('.pill[data-state=live]');
  opened();
  await here.locator('.device:not(:has-text("This device")) dl:has-text("Open windows1")').waitFor();
  quiet(here);
});

test('the audit log grows while it is looked at, and the console says how the parts are', async () => {
  const admin = await as(d.user('admin'));
  await console_(admin, 'audit');
  await admin.waitForSelector('tbody tr');
  const user = await as(d.user());
  await admin.waitForSelector(`tbody tr:has-text("login"):has-text("${await user.evaluate(() => fetch('/api/auth/status').then((r) => r.json()).then((s) => s.session.id.slice(-10)))}")`);
  await admin.click('[role=tab]:has-text("Health")');
  await admin.waitForSelector('.parts li:has-text("Database"):has-text("working")');
  quiet(admin);
});

test('what happens while the console is cut off is there once it is back: who came, who went, a notice that is over', async () => {
  const admin = await page(await b.newContext(modes.light)), line = { cut: false, sockets: /** @type {import('playwright-core').WebSocketRoute[]} */ ([]) };
  await admin.routeWebSocket(/\/ws$/, (ws) => {
    if (line.cut) return ws.close({ code: 1012, reason: 'restart' });
    line.sockets.push(ws);
    ws.connectToServer();
  });
  await logIn(admin, d.url, d.user('admin'));
  /** What another program does. @param {string} method @param {string} path @param {object} data */
  const ask = async (method, path, data, by = admin.context()) => {
    const answer = await by.request.fetch(d.url + path, { method, data });
    assert.ok(answer.ok(), `${method} ${path}: ${answer.status()}`);
    return answer.status() === 204 ? null : answer.json();
  };
  const enter = async (/** @type {number} */ n) => (await ask('POST', '/api/auth/login', { ...d.user('user', n), role: undefined }, await b.newContext())).session.id;
  const row = (/** @type {string} */ id) => admin.locator(`tr[data-session="${id}"]`);
  const gone = await enter(1), { id } = await ask('POST', '/api/admin/notices', { level: 'info', text: 'It will be over soon' });
  await console_(admin, 'sessions');
  await row(gone).waitFor();
  await admin.waitForSelector('.banner:has-text("over soon")');
  line.cut = true;
  await line.sockets.at(-1)?.close({ code: 1012, reason: 'restart' });
  await admin.waitForSelector('main.offline');
  await ask('DELETE', `/api/admin/sessions/${gone}`, { reason: 'a test' });
  await ask('DELETE', `/api/admin/notices/${id}`, {});
  const came = await enter(2);
  assert.equal(await row(came).count(), 0);
  line.cut = false;
  await row(came).waitFor();
  await row(gone).waitFor({ state: 'detached' });
  await admin.waitForSelector('.banner:has-text("over soon")', { state: 'detached' });
  await ask('DELETE', `/api/admin/sessions/${came}`, { reason: 'the test is over' });
  quiet(admin);
});

test('a session whose last socket closes has no last frame any more', async () => {
  const admin = await as(d.user('admin')), user = await as(d.user('user', 2));
  const id = await user.evaluate(() => fetch('/api/auth/status').then((r) => r.json()).then((s) => s.session.id));
  await console_(admin, 'sessions');
  const shows = (/** @type {string} */ sockets, /** @type {RegExp} */ frame) => admin.locator(`tr[data-session="${id}"]`).filter({ has: admin.locator(`td:nth-child(8):text-is("${sockets}")`) }).filter({ has: admin.locator('td:nth-child(9)', { hasText: frame }) }).waitFor();
  await shows('1', /ago/);
  await user.goto('about:blank');
  await shows('0', /^–$/);
  await admin.context().request.fetch(`${d.url}/api/admin/sessions/${id}`, { method: 'DELETE', data: { reason: 'the test is over' } });
  quiet(admin);
});

test('one of two own devices is renamed, and signed out from the other', async () => {
  const one = await as(d.user('user', 2)), two = await as(d.user('user', 2));
  await one.goto(`${d.url}/sessions`);
  const other = one.locator('.device:not(:has-text("This device"))');
  await other.locator('button[aria-label^=Rename]').click();
  await one.fill('dialog [name=name]', 'The old laptop');
  await one.click('dialog button.primary');
  await one.waitForSelector('.device:has-text("The old laptop")');
  await other.locator('button:has-text("Sign out")').click();
  await two.waitForSelector('dialog[role=alertdialog]:has-text("by you, from another device")');
  await one.waitForSelector('section:has-text("Recently ended") td:has-text("The old laptop")');
  quiet(one);
  quiet(two);
});

/** Turns switches as the console does. @param {import('playwright-core').Page} admin @param {object} change */
const turn = (admin, change) => admin.evaluate((body) => fetch('/api/admin/rollout', { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body }).then((r) => r.status), JSON.stringify({ ...change, reason: 'test' }));

test('a legacy log-in outlives its hour, also in the middle of a page, and becomes a session once the cohort is switched', async () => {
  const admin = await as(d.user('admin'));
  assert.equal(await turn(admin, { percentage: 0 }), 200);
  const user = await as(d.user('user', 2)), jar = user.context();
  const path = () => user.evaluate(() => fetch('/api/auth/status').then((r) => r.json()).then((s) => s.auth ?? 'nobody'));
  assert.equal(await path(), 'legacy');
  await jar.clearCookies({ name: 'rosetree' }); // what the browser does when the hour is over
  await user.reload();
  await user.waitForSelector('.pill[data-state=live]');
  assert.equal(await path(), 'legacy');
  await jar.clearCookies({ name: 'rosetree' });
  await user.click('a[href="/sessions"]');
  await user.waitForSelector('.device .tag:has-text("This device")');
  assert.equal(await turn(admin, { percentage: 100 }), 200);
  await jar.clearCookies({ name: 'rosetree' });
  await user.reload();
  await user.waitForSelector('.device .tag:has-text("This device")');
  assert.equal(await path(), 'session');
  quiet(user, /401/);
  quiet(admin);
});

test('to end another device asks for the password again, once it was long ago', async () => {
  const here = await as(d.user('user', 2)), there = await as(d.user('user', 2));
  const id = (/** @type {import('playwright-core').Page} */ p) => p.evaluate(() => fetch('/api/auth/status').then((r) => r.json()).then((s) => s.session.id));
  const mine = await id(here), other = await id(there);
  await here.goto(`${d.url}/sessions`);
  await redis(d.redis_url, ['HSET', `rt:s:{${mine.slice(0, 12)}}${mine.slice(12)}`, 'auth', String(Date.now() - 3600_000)]);
  await here.click(`[data-session="${other}"] button.danger`);
  await here.fill('dialog [name=password]', 'wrong password');
  await here.click('dialog button.primary');
  await here.waitForSelector('dialog :text("is wrong")');
  await here.fill('dialog [name=password]', d.user('user', 2).password);
  await here.click('dialog button.primary');
  await there.waitForSelector('dialog[role=alertdialog]:has-text("Session ended")');
  await here.waitForSelector(`[data-session="${other}"]`, { state: 'detached' });
  quiet(here, /403|422/);
});

test('some are ended together, their rows are struck out with the milliseconds; then everyone, with a receipt that waits for the next log-in', async () => {
  const one = await as(d.user('user', 1)), two = await as(d.user('user', 1)), admin = await as(d.user('admin')), second = await as(d.user('admin'));
  await console_(admin, 'sessions');
  await console_(second, 'sessions');
  await admin.fill('input[aria-label="Search sessions"]', d.user('user', 1).email);
  await admin.waitForFunction(() => document.querySelectorAll('tr[data-session]').length === 2);
  for (const box of await admin.locator('tr[data-session] input').all()) await box.check();
  await admin.click('button:has-text("Revoke 2 selected")');
  await admin.fill('dialog [name=reason]', 'both of them');
  await admin.click('dialog button.primary');
  for (const p of [one, two]) await p.waitForSelector('dialog[role=alertdialog]:has-text("by an administrator")');
  await admin.waitForFunction(() => [...document.querySelectorAll('tr.gone .tag.bad')].filter((t) => /ended in \d+ ms/.test(t.textContent ?? '')).length === 2);
  await second.waitForFunction(() => document.querySelectorAll('tr.gone').length === 2); // the other console saw it too, without asking
  await one.click('dialog button:has-text("Log in again")');
  await logIn(one, d.url, d.user('user', 1));
  await admin.waitForFunction(() => document.querySelectorAll('tr[data-session]:not(.gone)').length === 1); // a new one appears by itself

  await admin.click('button:has-text("Revoke all")');
  await admin.fill('dialog [name=reason]', 'nobody knows whose were stolen');
  await admin.fill('dialog [name=count]', '0');
  await admin.click('dialog button.primary');
  await admin.waitForSelector('dialog .field.bad:has-text("How many")');
  await admin.fill('dialog [name=count]', (/([\d,]+) sessions, everyone/.exec((await admin.textContent('dialog')) ?? '')?.[1] ?? '').replace(/,/g, ''));
  await admin.click('dialog button.primary');
  for (const p of [one, second, admin]) await p.waitForSelector('dialog[role=alertdialog]:has-text("Session ended")');
  await admin.click('dialog[role=alertdialog] button');
  await logIn(admin, d.url, d.user('admin'));
  await console_(admin, 'sessions');
  await admin.waitForSelector('[role=log] li:has-text("Everyone"):has-text("sockets closed (")');
  for (const p of [one, two, second, admin]) quiet(p, /status of 401/);
});

test('a notice stands on the status page for those who are not logged in: now, planned, and after it is over', async () => {
  const admin = await as(d.user('admin')), nobody = await page(await b.newContext(modes.phone));
  await console_(admin, 'notices');
  const post = (/** @type {object} */ body) => admin.evaluate((b) => fetch('/api/admin/notices', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: b }).then((r) => r.json()), JSON.stringify(body));
  const { id } = await post({ level: 'critical', text: 'Prices of one exchange are late' });
  await post({ level: 'info', text: 'We move on Friday', from: new Date(Date.now() + 86400_000).toISOString() });
  const seen = async (/** @type {string} */ section, /** @type {string} */ text) => {
    await nobody.goto(`${d.url}/status`);
    for (let n = 0; n < 40 && !(await nobody.locator(`section[aria-labelledby=${section}] li:has-text("${text}")`).count()); n++) { // a server reads them every second
      await nobody.waitForTimeout(250);
      await nobody.reload();
      await nobody.waitForSelector('section[aria-labelledby=past]');
    }
    assert.ok(await nobody.locator(`section[aria-labelledby=${section}] li:has-text("${text}")`).count(), `${text} is under ${section}`);
  };
  await seen('now', 'one exchange');
  await seen('planned', 'on Friday');
  await admin.evaluate((i) => fetch(`/api/admin/notices/${i}`, { method: 'DELETE' }), id);
  await seen('past', 'one exchange');
  quiet(admin);
  quiet(nobody);
});
