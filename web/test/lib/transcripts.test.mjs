// The server's golden transcripts, played against the client: what the client is driven to say must be what the
// transcript says, and what the server says there must leave the client in the state that follows from it.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { FakeSocket, client, settled } from './fake.mjs';

const folder = new URL('../../../hub/testdata/', import.meta.url);
const files = readdirSync(folder).filter((f) => f.endsWith('.txt'));

/** @param {string} text */
const filled = (text) => JSON.parse(text.replaceAll('"holdings":"$any"', '"holdings":[]').replaceAll('"totals":"$any"', '"totals":{}').replaceAll('"$time"', '1790000000000').replaceAll('"$any"', '1'));

/** @param {any} m */
const withoutId = ({ id, ...m }) => m;

const fields = /** @type {Record<string, string[]>} */ ({ subscribe: ['channel', 'symbols', 'max_hz', 'portfolio', 'since'], unsubscribe: ['channel', 'symbols', 'portfolio'], call: ['method', 'params', 'idempotency_key'], auth: ['token'], suspend: [], resume: [] });

class Play {
  /** @type {Map<any, any>} the transcript's ids to the client's own */ ids = new Map();
  /** @type {{stream:import('../../app/rosetree.js').Prices, expect:Map<string, string>}[]} */ prices = [];
  /** @type {Map<string, number>} */ versions = new Map();
  /** @type {any} */ end = null;
  /** @type {any} */ bye = null;
  compared = 0;

  /** @param {import('../../app/rosetree.js').Rosetree} c */
  constructor(c) {
    this.c = c;
    this.socket = FakeSocket.last;
    c.on('ended', (e) => { this.end = e; });
  }

  /** Has the client do what makes it say m; what no client of ours would say is passed over. @param {string} text */
  says(text) {
    /** @type {any} */ let m;
    try { m = JSON.parse(text); } catch { return; }
    if (Object.keys(m).some((k) => k !== 'id' && k !== 'type' && !fields[m.type]?.includes(k))) return;
    if (m.max_hz !== undefined && !(m.max_hz > 0)) return;
    const said = this.socket.sent.length;
    this.#drive(m);
    if (this.socket.sent.length === said) return; // malformed, or followed already: the client does not say it
    const own = this.socket.sent[said];
    if (m.id !== undefined) this.ids.set(m.id, own.id);
    if (m.type === 'call') m.params ??= {};
    if (m.type === 'subscribe' && m.channel === 'portfolio') m.since ??= own.since; // the client tells what it holds
    assert.deepEqual(withoutId(own), JSON.parse(JSON.stringify(withoutId(m))));
    this.compared++;
  }

  /** @param {any} m */
  #drive(m) {
    const { c } = this;
    if (m.type === 'subscribe' && m.channel === 'prices' && m.symbols) this.prices.push({ stream: c.prices(m.symbols, { maxHz: m.max_hz }), expect: new Map() });
    else if (m.type === 'unsubscribe' && m.channel === 'prices' && m.symbols) {
      for (const p of this.prices) if ([...p.stream.symbols].join() === m.symbols.join()) p.stream.close();
    } else if (m.type === 'subscribe' && m.channel === 'portfolio' && m.portfolio) c.portfolio(m.portfolio);
    else if (m.type === 'subscribe' && ['notices', 'sessions', 'rollout', 'overview', 'health', 'audit'].includes(m.channel) && !m.symbols) c.follow(m.channel);
    else if (m.type === 'call' && typeof m.method === 'string') c.call(m.method, m.params, { idempotencyKey: m.idempotency_key, timeout: 60000 }).catch(() => {});
    else if (m.type === 'auth' && m.token) c.auth(m.token);
    else if (m.type === 'suspend') c.suspend();
    else if (m.type === 'resume') c.resume();
  }

  /** @param {string} text */
  hears(text) {
    const m = filled(text);
    if (this.ids.has(m.id)) m.id = this.ids.get(m.id);
    if (m.type === 'bye') this.bye = m;
    if (m.type === 'portfolio') this.versions.set(m.portfolio, m.version);
    if (m.type === 'prices') {
      for (const p of this.prices) for (const q of m.updates) if (!p.stream.closed && (p.stream.symbols.has(q.s) || p.stream.symbols.has('*'))) p.expect.set(q.s, q.p);
    }
    this.socket.says(m);
  }

  /** @param {string} text */
  closes(text) {
    const [code, reason = ''] = text.split(' ');
    this.socket.drops(Number(code), text.slice(code.length + 1));
    assert.equal(this.c.state, Number(code) >= 4500 ? 'ended' : 'waiting');
    if (this.end) assert.deepEqual([this.end.code, this.end.reason, this.end.by, this.end.text], [Number(code), reason, this.bye.by, this.bye.text]);
    else if (this.bye?.retry_ms) assert.ok(this.c.retryAt - Date.now() >= this.bye.retry_ms - 1, 'the hint is kept to');
  }

  checks() {
    for (const { stream, expect } of this.prices) for (const [s, p] of expect) assert.equal(stream.latest.get(s)?.p, p, `${s}: the newest price`);
    if (this.c.state === 'live') for (const [id, v] of this.versions) assert.equal(this.c.portfolio(id).version, v, `${id}: the newest version`);
  }
}

let compared = 0;
for (const file of files) {
  test(`transcript ${file}`, async () => {
    const c = await client(), play = new Play(c);
    for (const line of readFileSync(new URL(file, folder), 'utf8').split('\n')) {
      const rest = line.slice(1).trim();
      if (line[0] === '>') play.says(rest);
      else if (line[0] === '<') play.hears(rest);
      else if (line[0] === 'x') play.closes(rest);
      await settled();
    }
    play.checks();
    compared += play.compared;
    c.close();
  });
}

test('the transcripts made the client say something', () => assert.ok(files.length > 10 && compared > 15, `${files.length} transcripts, ${compared} messages compared`));
