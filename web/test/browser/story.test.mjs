import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { accessible, browser, demo, logIn, modes, moves, page, quiet, shot, tidy } from './harness.mjs';

/** @type {Awaited<ReturnType<typeof demo>>} */ let d;
/** @type {import('playwright-core').Browser} */ let b;

before(async () => { [d, b] = await Promise.all([demo(), browser()]); });
afterEach((t) => tidy(b, 'story', t));
after(async () => {
  await b?.close();
  await d?.stop();
  d?.remove();
});

test('log in, see a portfolio whose value and holdings move live', async () => {
  const p = await page(await b.newContext(modes.light));
  await logIn(p, d.url, d.user());
  await moves(p, '.total');
  await moves(p, 'tbody');
  await shot(p, 'story-home');
  quiet(p);
  await p.context().close();
});

test('a wrong password is said, and nothing else is', async () => {
  const p = await page(await b.newContext(modes.light));
  await p.goto(`${d.url}/login`);
  await p.fill('[name=email]', d.user().email);
  await p.fill('[name=password]', 'not the password');
  await p.click('form button.primary');
  await p.waitForSelector('[role=alert], .err');
  assert.equal(new URL(p.url()).pathname, '/login');
  quiet(p, /status of 401/);
  await p.context().close();
});

test('an admin revokes a session: its socket closes at once, the screen is blank and says who', async () => {
  const victim = await page(await b.newContext(modes.light)), admin = await page(await b.newContext(modes.light));
  await logIn(victim, d.url, d.user());
  await logIn(admin, d.url, d.user('admin'));
  await admin.goto(`${d.url}/admin`);
  const mine = await victim.evaluate(async () => (await (await fetch('/api/auth/status')).json()).session.id);
  const row = admin.locator(`tr[data-session="${mine}"]`);
  await row.locator('button', { hasText: 'Revoke' }).click();
  await admin.fill('dialog [name=reason]', 'found on a lost laptop');
  await admin.check('dialog [name=tell]');
  await admin.click('dialog button.danger');
  await victim.waitForSelector('dialog[role=alertdialog] blockquote:has-text("found on a lost laptop")'); // how soon is measure.mjs's to say
  assert.match((await victim.textContent('dialog[role=alertdialog]')) ?? '', /ended by an administrator/);
  assert.equal(await victim.locator('.total, [data-row]').count(), 0, 'no amount is left in the page');
  await shot(victim, 'story-revoked');
  quiet(admin, /status of 403/);
  quiet(victim);
  await victim.context().close();
  await admin.context().close();
});

test('what is added on one device appears on the other', async () => {
  const one = await page(await b.newContext(modes.light)), two = await page(await b.newContext(modes.phone));
  await logIn(one, d.url, d.user('user', 1));
  await logIn(two, d.url, d.user('user', 1));
  const held = await one.locator('[data-row]').first().getAttribute('data-row');
  const quantity = async (/** @type {string} */ s) => one.locator(`[data-row="${s}"] td`).nth(1).textContent();
  const was = await quantity(held ?? '');
  await one.click('[data-key=add]');
  await one.fill('[name=symbol]', held ?? '');
  await one.fill('[name=quantity]', '3');
  await one.fill('[name=price]', '100');
  const value = await two.locator(`[data-row-card="${held}"] b`).nth(1).textContent();
  await one.click('dialog button.primary');
  await one.waitForSelector('.toast');
  await one.waitForFunction(([s, q]) => document.querySelectorAll(`[data-row="${s}"] td`)[1]?.textContent !== q, [held, was]);
  await two.waitForFunction(([s, v]) => document.querySelectorAll(`[data-row-card="${s}"] b`)[1]?.textContent !== v, [held, value]);
  quiet(one);
  quiet(two);
  await one.context().close();
  await two.context().close();
});

test('a reload keeps the session; after a log-out nothing is readable behind the back button', async () => {
  const p = await page(await b.newContext(modes.light));
  await logIn(p, d.url, d.user());
  let busy = 0; // once, as a server whose Redis does not answer for a moment
  await p.route('**/api/portfolios', (r) => { busy++; return r.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"code":"unavailable","detail":"busy"}' }); }, { times: 1 });
  await p.reload();
  await p.waitForSelector('[data-row]');
  assert.equal(busy, 1, 'it was refused, and asked again');
  await p.goto(`${d.url}/sessions`);
  await p.waitForSelector('.device');
  await p.click('button[title=Account]');
  await p.click('text=Log out');
  await p.waitForURL('**/login');
  await p.goBack();
  await p.waitForSelector('.gate form');
  assert.equal(await p.locator('.device, .total, [data-row]').count(), 0);
  quiet(p, /status of 503 .*\/api\/portfolios\)$/);
  await p.context().close();
});

test('a new account begins with numbered steps, and can sign in again', async () => {
  const p = await page(await b.newContext(modes.light));
  await p.goto(`${d.url}/login`);
  await p.click('text=Create an account');
  await p.fill('[name=display_name]', 'Nia New');
  await p.fill('[name=email]', `nia-${Date.now()}@example.com`);
  await p.fill('[name=password]', 'a sentence is the best password');
  await p.click('form button.primary');
  await p.waitForSelector('.steps');
  await p.click('button:has-text("Make a portfolio")');
  await p.fill('[name=name]', 'First');
  await p.click('dialog button.primary');
  await p.waitForSelector('.holdings .steps');
  await shot(p, 'story-empty');
  await accessible(p, 'an empty portfolio');
  await p.waitForSelector('.plot .none:has-text("begins with the first transaction")');
  await p.click('button:has-text("Try demo data")');
  await p.waitForSelector('[data-row]');
  await p.waitForSelector('.plot canvas'); // without a reload
  await moves(p, '.total');
  await p.click('.toast:has-text("Demo data added") button:has-text("Undo")');
  await p.waitForSelector('.holdings .steps');
  quiet(p);
  await p.context().close();
});
