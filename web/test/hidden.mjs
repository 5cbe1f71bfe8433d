import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { browserPath, flags } from './browser/harness.mjs';

// What a page costs that nobody sees, for measure.mjs. Playwright keeps every page visible, so this is a Chromium of its own, in
// which another tab stands before the page: hidden as a person's tab is.

const later = (/** @type {number} */ ms) => new Promise((r) => setTimeout(r, ms));

/** A browser with one tab, spoken to by its pipe. */
function open() {
  const profile = mkdtempSync(join(tmpdir(), 'rosetree-hidden-'));
  const child = spawn(browserPath ?? '', [...flags, '--remote-debugging-pipe', `--user-data-dir=${profile}`, 'about:blank'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  const [, , , to, from] = /** @type {any[]} */ (child.stdio), ended = new Promise((r) => child.once('exit', r));
  /** @type {Map<number, (m:any) => void>} */ const waiting = new Map();
  let ids = 0, heard = '';
  from.on('data', (/** @type {Buffer} */ bytes) => {
    const all = (heard + bytes).split('\0');
    heard = all.pop() ?? '';
    for (const m of all.map((text) => JSON.parse(text))) waiting.get(m.id)?.(m);
  });
  /** @param {string} method @param {object} [params] @param {string} [sessionId] @returns {Promise<any>} */
  const say = (method, params = {}, sessionId = undefined) => new Promise((done, fail) => {
    waiting.set(++ids, (m) => (m.error ? fail(new Error(`${method}: ${m.error.message}`)) : done(m.result)));
    to.write(`${JSON.stringify({ id: ids, method, params, sessionId })}\0`);
  });
  return { pid: child.pid ?? 0, say, async close() { child.kill(); await ended; rmSync(profile, { recursive: true, force: true }); } };
}

/** Milliseconds that a process and all that it started have had of the cores. @param {number} root */
function spent(root) {
  /** @type {Map<number, {parent:number, ms:number}>} */ const all = new Map();
  for (const pid of readdirSync('/proc').filter((n) => /^\d+$/.test(n))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8'), threads = readdirSync(`/proc/${pid}/task`);
      all.set(Number(pid), { parent: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]), ms: threads.reduce((ms, t) => ms + Number(readFileSync(`/proc/${pid}/task/${t}/schedstat`, 'utf8').split(' ')[0]) / 1e6, 0) });
    } catch { /* it has ended */ }
  }
  const mine = new Set([root]);
  for (let known = 0; known < mine.size;) {
    known = mine.size;
    for (const [pid, p] of all) if (mine.has(p.parent)) mine.add(pid);
  }
  return [...mine].reduce((ms, pid) => ms + (all.get(pid)?.ms ?? 0), 0);
}

/**
 * Opens the page at url, hides it, and says what each stage of being hidden cost. The first is of an empty page, hidden too: what the browser does by itself.
 * In the first minute of rest V8 gives back, once, what the live page had filled.
 * @param {string} url @param {{email:string, password:string}} user @param {Record<string, any>} settings of the page @param {number} seconds for which each stage is watched
 * @returns {Promise<{what:string, page:number, all:number, heard:number, seconds:number}[]>} milliseconds of a core in the page's main thread and in all processes of the browser, and messages that came on the socket
 */
export async function hidden(url, user, settings, seconds) {
  const b = open();
  try {
    const { targetInfos } = await b.say('Target.getTargets');
    const { targetId } = targetInfos.find((/** @type {any} */ t) => t.type === 'page');
    const { sessionId } = await b.say('Target.attachToTarget', { targetId, flatten: true });
    const run = async (/** @type {string} */ expression) => (await b.say('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true }, sessionId)).result.value;
    const until = async (/** @type {string} */ holds) => { for (const end = Date.now() + 120_000; !(await run(holds)); await later(500)) if (Date.now() > end) throw new Error(`in vain: ${holds}`); };
    const tasks = async () => (await b.say('Performance.getMetrics', {}, sessionId)).metrics.find((/** @type {any} */ m) => m.name === 'ThreadTime').value * 1000;
    const watch = async (/** @type {string} */ what, ms = seconds * 1000) => {
      const [all, page, heard] = [spent(b.pid), await tasks(), await run('globalThis.heard ?? 0')];
      await later(ms);
      return { what, seconds: ms / 1000, heard: await run('globalThis.heard ?? 0') - heard, page: await tasks() - page, all: spent(b.pid) - all };
    };
    await b.say('Performance.enable', {}, sessionId);
    const front = await b.say('Target.createTarget', { url: 'about:blank' });
    await until('document.hidden');
    await later(20_000); // a browser that has just started is busy with itself
    const stages = [await watch('hidden, an empty page')];
    await b.say('Target.activateTarget', { targetId });
    await b.say('Page.enable', {}, sessionId);
    await b.say('Page.addScriptToEvaluateOnNewDocument', { source: `globalThis.heard = 0; globalThis.WebSocket = class extends WebSocket { constructor(...a) { super(...a); this.addEventListener('message', () => heard++); } }` }, sessionId);
    await b.say('Page.navigate', { url: `${url}/login` }, sessionId);
    await until(`!!document.querySelector('form')`);
    await run(`fetch('/api/auth/login', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: ${JSON.stringify(JSON.stringify({ email: user.email, password: user.password }))} }).then((r) => r.status)`);
    await run(`localStorage.setItem('rosetree.settings', ${JSON.stringify(JSON.stringify(settings))})`);
    await b.say('Page.navigate', { url }, sessionId);
    await until(`!!document.querySelector('[data-row]') && document.querySelector('.pill')?.dataset.state === 'live'`);
    await later(10_000);
    await b.say('Target.activateTarget', { targetId: front.targetId });
    await until('document.hidden');
    stages.push(await watch('hidden, until it rests', 10_000));
    await until(`document.querySelector('.pill').dataset.state === 'suspended'`);
    stages.push(await watch('hidden, its first minute of rest', 60_000), await watch('hidden, at rest'));
    return stages;
  } finally {
    await b.close();
  }
}
