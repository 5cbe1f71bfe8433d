import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { logIn, redis } from './harness.mjs';

// The console among many sessions, for the test that holds it to what it shows and for the measurement of how long it takes.

/** How many: 5,000, or WEB_TEST_SESSIONS=100000. */
export const many = Number(process.env.WEB_TEST_SESSIONS ?? 5000);
const people = Math.ceil(many / 20);

/** @typedef {import('./harness.mjs').Demo} Demo */

const programs = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').map((v) => `/usr/lib/postgresql/${v}/bin/psql`) : [];
const psql = [process.env.PSQL, ...programs, 'psql'].find((p) => p && (p === 'psql' || existsSync(p))) ?? 'psql';

/** @param {Demo} d @param {string} sql */
function sql(d, sql) {
  const done = spawnSync(psql, ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', d.migrate_database_url], { input: sql, encoding: 'utf8' });
  assert.equal(done.status, 0, `psql: ${done.error?.message ?? done.stderr}`);
}

const idOf = (/** @type {number} */ i, /** @type {number} */ length) => `many${String(Math.floor(i / 20)).padStart(8, '0')}${String(i).padStart(length - 12, 'x')}`;
const userOf = (/** @type {number} */ i) => `00000000-0000-7000-8000-${String(Math.floor(i / 20)).padStart(12, '0')}`;

/** Sessions as log-ins leave them, in both stores. @param {Demo} d @param {number} length of an id */
async function fill(d, length) {
  sql(d, `INSERT INTO app.users (id, email, display_name) SELECT ('00000000-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid, 'person' || i || '@many.example', 'Person ' || i FROM generate_series(0, ${people - 1}) i;
    INSERT INTO app.sessions (id, user_id, device_name, ip, created_at, last_seen_at, expires_at, verifier, idle_ms)
    SELECT 'many' || lpad((i / 20)::text, 8, '0') || lpad(i::text, ${length - 12}, 'x'), ('00000000-0000-7000-8000-' || lpad((i / 20)::text, 12, '0'))::uuid, 'Device ' || i, '192.0.2.' || i % 250,
      now() - interval '1 hour', now() - i * interval '10 ms', now() + interval '30 days', 'none', 86400000 FROM generate_series(0, ${many - 1}) i;
    ANALYZE app.sessions; ANALYZE app.users;`);
  const now = Date.now(), abs = String(now + 30 * 86400_000);
  for (let at = 0; at < many; at += 5000) {
    await redis(d.redis_url, ...Array.from({ length: Math.min(5000, many - at) }, (_, n) => {
      const i = at + n, id = idOf(i, length);
      return ['HSET', `rt:s:{${id.slice(0, 12)}}${id.slice(12)}`, 'uid', userOf(i), 'role', 'user', 'vh', 'none', 'gen', '0', 'iat', String(now - 3600_000), 'auth', String(now - 3600_000),
        'abs', abs, 'idle', '86400000', 'seen', String(now - 10 * i), 'dev', `Device ${i}`, 'plat', 'web', 'ua', '', 'ip', `192.0.2.${i % 250}`];
    }));
  }
}

/**
 * An administrator opens the console, turns pages, finds a user and ends all of theirs.
 * @param {import('playwright-core').Page} p @param {Demo & {user:(role?:string) => any}} d
 * @returns {Promise<{took:[string, number][], longTasks:number[]}>} milliseconds of each step, and of the page's long tasks
 */
export async function amongMany(p, d) {
  await logIn(p, d.url, d.user('admin'));
  await fill(d, await p.evaluate(() => fetch('/api/auth/status').then((r) => r.json()).then((s) => s.session.id.length)));
  await p.addInitScript(() => {
    /** @type {any} */ (globalThis).long = [];
    new PerformanceObserver((list) => /** @type {any} */ (globalThis).long.push(...list.getEntries().map((e) => Math.round(e.duration)))).observe({ type: 'longtask' });
  });
  /** @type {[string, number][]} */ const took = [];
  /** @param {string} what @param {() => Promise<any>} act */
  const timed = async (what, act) => {
    const began = performance.now();
    await act();
    took.push([what, Math.round(performance.now() - began)]);
  };
  const rows = p.locator('tr[data-session]');
  const shows = (/** @type {number} */ n) => p.waitForFunction((want) => document.querySelectorAll('tr[data-session]').length === want, n);
  await timed('the console with its first page', async () => { await p.goto(`${d.url}/admin`); await shows(100); });
  await timed('one more page', async () => { await p.click('button:has-text("Show more")'); await shows(200); });
  await timed('one more page', async () => { await p.click('button:has-text("Show more")'); await shows(300); });
  assert.equal(new Set(await rows.evaluateAll((all) => all.map((r) => r.getAttribute('data-session')))).size, 300, 'no session stands on two pages');
  await timed('a search by a part of an address', async () => { await p.fill('input[aria-label="Search sessions"]', `person${people - 1}@many`); await shows(20); });
  await timed('all of a user', async () => {
    await rows.first().locator('.menu button').first().click();
    await p.click('button:has-text("Revoke all of this user")');
    await p.fill('dialog [name=reason]', 'a test among many');
    await p.click('dialog button.primary');
    await p.waitForFunction(() => document.querySelectorAll('tr.gone').length === 20);
  });
  await p.waitForSelector('[role=log] li:has-text("20 sessions")');
  await p.fill('input[aria-label="Search sessions"]', '');
  await shows(100);
  return { took, longTasks: await p.evaluate(() => /** @type {number[]} */ (/** @type {any} */ (globalThis).long)) };
}
