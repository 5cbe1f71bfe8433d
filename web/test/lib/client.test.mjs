import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeSocket, client, live, pass, settled } from './fake.mjs';

test('the states of a good day: idle, connecting, live', async () => {
  const c = await client();
  assert.equal(c.state, 'connecting');
  assert.deepEqual(FakeSocket.last.protocols, ['rosetree.v1']);
  FakeSocket.last.welcomes();
  assert.equal(c.state, 'live');
  c.close();
});

test('the newest ticket is asked for at every connect and travels in the subprotocol, never in the URL', async () => {
  let n = 0;
  const c = await live({ getToken: () => `t${++n}` });
  assert.deepEqual(FakeSocket.last.protocols, ['rosetree.v1', 'rosetree.ticket.t1']);
  FakeSocket.last.drops(1006);
  await pass(300);
  assert.deepEqual(FakeSocket.last.protocols, ['rosetree.v1', 'rosetree.ticket.t2']);
  assert.equal(FakeSocket.last.url, 'wss://example.test/ws');
  c.close();
});

for (const code of [1000, 1001, 1006, 1012, 1013, 4000, 4001, 4029]) {
  test(`close ${code} is followed by a reconnect`, async () => {
    const c = await live();
    FakeSocket.last.drops(code);
    assert.equal(c.state, 'waiting');
    await pass(500);
    assert.equal(FakeSocket.all.length, 2);
    c.close();
  });
}

for (const code of [4500, 4501, 4502, 4503, 4504, 4505, 4510, 4999]) {
  test(`close ${code} ends: no further connection; who, when and what they say are told`, async () => {
    const c = await live();
    /** @type {any} */ let end;
    c.on('ended', (e) => { end = e; });
    FakeSocket.last.says({ type: 'bye', code, reason: 'session_revoked', retry_ms: null, by: 'admin', at: '2026-11-23T12:00:00Z', text: 'It was found.' });
    FakeSocket.last.drops(code, 'session_revoked');
    await pass(60000);
    assert.equal(c.state, 'ended');
    assert.deepEqual(end, { code, reason: 'session_revoked', by: 'admin', at: '2026-11-23T12:00:00Z', text: 'It was found.' });
    assert.equal(FakeSocket.all.length, 1);
  });
}

test('an end whose bye was lost still has its reason from the close frame', async () => {
  const c = await live();
  /** @type {any} */ let end;
  c.on('ended', (e) => { end = e; });
  FakeSocket.last.drops(4501, 'session_expired');
  assert.equal(end.reason, 'session_expired');
  assert.equal(c.state, 'ended');
});

test("the server's retry hint is kept to, in the bye and in the close reason", async () => {
  const c = await live();
  FakeSocket.last.says({ type: 'bye', code: 1012, reason: 'restart', retry_ms: 3000 });
  FakeSocket.last.drops(1012, 'restart');
  await pass(2750);
  assert.equal(FakeSocket.all.length, 1);
  await pass(500);
  assert.equal(FakeSocket.all.length, 2);
  FakeSocket.last.drops(4000, 'drain retry_ms=2000');
  await pass(1750);
  assert.equal(FakeSocket.all.length, 2);
  await pass(500);
  assert.equal(FakeSocket.all.length, 3);
  c.close();
});

test('back-off grows to its cap with full jitter, and starts over after five live seconds', async (t) => {
  t.mock.method(Math, 'random', () => 1);
  const c = await client({ backoff: { min: 250, max: 2000 } });
  const waits = [];
  for (let i = 0; i < 5; i++) {
    FakeSocket.last.drops(1006);
    await settled();
    waits.push(c.retryAt - Date.now());
    await pass(2000);
  }
  assert.deepEqual(waits, [250, 500, 1000, 2000, 2000]);
  FakeSocket.last.welcomes();
  await pass(3000);
  FakeSocket.last.says({ type: 'heartbeat' });
  await pass(3000);
  FakeSocket.last.drops(1006);
  assert.equal(c.retryAt - Date.now(), 250);
  c.close();
});

test('a socket that never opened: the caller is asked whether to go on', async () => {
  const c = await client({ refused: async () => ({ reason: 'session_expired', code: 401 }) });
  FakeSocket.last.drops(1006);
  await settled();
  assert.equal(c.state, 'ended');
});

test('an old socket is dropped by generation: what it still says is not heard', async () => {
  const c = await live();
  const old = FakeSocket.last;
  const { onmessage } = old;
  c.reconnect();
  await settled();
  onmessage?.({ data: '{"type":"welcome"}' });
  assert.equal(c.state, 'connecting');
  c.close();
});

test('silence: stalled after four seconds, a new socket after twenty', async () => {
  const c = await live();
  await pass(6000);
  assert.equal(c.state, 'stalled');
  FakeSocket.last.says({ type: 'heartbeat' });
  assert.equal(c.state, 'live');
  await pass(21000);
  assert.equal(FakeSocket.all.length, 2);
  c.close();
});

test('a timer jump (the laptop slept) reconnects at once', async (t) => {
  const c = await live();
  await pass(1000);
  const now = Date.now();
  t.mock.method(Date, 'now', () => now + 3_600_000);
  await pass(1000);
  assert.equal(FakeSocket.all.length, 2);
  c.close();
});

test('after a reconnect prices are subscribed again and a portfolio since the version that is held', async () => {
  const c = await live();
  const prices = c.prices(['AAPL', 'BTC-USD'], { maxHz: 10 });
  const portfolio = c.portfolio('p1');
  const first = FakeSocket.last.of('subscribe');
  assert.deepEqual(first.map((m) => m.channel), ['prices', 'portfolio']);
  assert.equal(first[0].max_hz, 10);
  assert.equal('since' in first[1], false);
  FakeSocket.last.says({ type: 'portfolio', portfolio: 'p1', version: 41, snapshot: true, holdings: [{ symbol: 'AAPL', value: '1' }], totals: {} });
  FakeSocket.last.drops(1006);
  await pass(300);
  FakeSocket.last.welcomes();
  const again = FakeSocket.last.of('subscribe');
  assert.deepEqual(again[0].symbols, ['AAPL', 'BTC-USD']);
  assert.equal(again[1].since, 41);
  prices.close();
  portfolio.close();
  assert.deepEqual(FakeSocket.last.of('unsubscribe').map((m) => m.channel), ['prices', 'portfolio']);
  c.close();
});

test('two price streams share symbols: a symbol leaves with its last reader', async () => {
  const c = await live();
  const a = c.prices(['AAPL', 'MSFT']), b = c.prices(['AAPL']);
  a.close();
  assert.deepEqual(FakeSocket.last.of('unsubscribe')[0].symbols, ['MSFT']);
  b.close();
  assert.deepEqual(FakeSocket.last.of('unsubscribe')[1].symbols, ['AAPL']);
  c.close();
});

test('a slow reader gets the newest price of each symbol, not a queue', async () => {
  const c = await live();
  const prices = c.prices(['*']);
  for (let n = 1; n <= 1000; n++) FakeSocket.last.says({ type: 'prices', updates: [{ s: 'AAPL', p: `${n}`, t: n, n }] });
  const { value } = await prices[Symbol.asyncIterator]().next();
  assert.deepEqual(value, [{ s: 'AAPL', p: '1000', t: 1000, n: 1000 }]);
  c.close();
});

test('a portfolio is held whole: snapshot, valuation, change, removal, resync', async () => {
  const c = await live();
  const p = c.portfolio('p1');
  /** @type {string[]} */ const seen = [];
  for (const e of ['snapshot', 'resync', 'change', 'valuation']) p.on(e, () => seen.push(e));
  const says = (/** @type {object} */ m) => FakeSocket.last.says({ portfolio: 'p1', ...m });
  says({ type: 'portfolio', version: 5, snapshot: true, holdings: [{ symbol: 'A', quantity: '1', value: '10' }, { symbol: 'B', value: '1' }], totals: { value: '11', cash: '3' } });
  says({ type: 'valuation', version: 5, holdings: [{ symbol: 'A', value: '12' }], totals: { value: '13' } });
  assert.deepEqual(p.holdings.get('A'), { symbol: 'A', quantity: '1', value: '12' });
  assert.deepEqual(p.totals, { value: '13', cash: '3' });
  says({ type: 'portfolio', version: 6, holdings: [{ symbol: 'C', value: '2' }], removed: ['B'], totals: { value: '14' } });
  says({ type: 'valuation', version: 5, holdings: [{ symbol: 'A', value: '99' }], totals: {} });
  assert.equal(p.holdings.get('A')?.value, '12', 'a valuation of an older version is not shown');
  assert.deepEqual([...p.holdings.keys()], ['A', 'C']);
  says({ type: 'portfolio', version: 8, snapshot: true, holdings: [{ symbol: 'C', value: '2' }], totals: {} });
  assert.deepEqual([...p.holdings.keys()], ['C']);
  assert.deepEqual(seen, ['snapshot', 'valuation', 'change', 'resync']);
  c.close();
});

test('who hears of what is refused: the call, the stream that wanted the symbol, and else whoever listens for errors', async () => {
  const c = await live(), heard = /** @type {any[]} */ ([]);
  c.on('error', (m) => heard.push(m.error.code));
  c.prices(['NOPE', 'A']).on('rejected', (r) => heard.push(r));
  c.prices(['A']).on('rejected', (r) => heard.push(r));
  FakeSocket.last.says({ type: 'subscribed', channel: 'prices', symbols: ['A'], rejected: [{ symbol: 'NOPE', code: 'unknown_symbol' }] });
  const call = assert.rejects(c.call('transaction.add'), { code: 'invalid' });
  FakeSocket.last.says({ id: FakeSocket.last.of('call')[0].id, type: 'error', error: { code: 'invalid', message: 'no' } });
  FakeSocket.last.says({ type: 'error', error: { code: 'bad_request', message: 'what?' } });
  await call;
  assert.deepEqual(heard, [[{ symbol: 'NOPE', code: 'unknown_symbol' }], 'bad_request']);
  c.close();
});

test('calls: result, error with its field, timeout', async () => {
  const c = await live();
  const ok = c.call('portfolio.list');
  const bad = c.call('transaction.add', { quantity: '-1' });
  const late = c.call('price.candles', {}, { timeout: 1000 });
  late.catch(() => {});
  const [a, b] = FakeSocket.last.of('call');
  FakeSocket.last.says({ id: b.id, type: 'error', error: { code: 'invalid', message: 'must be positive', field: 'quantity' } });
  FakeSocket.last.says({ id: a.id, type: 'result', result: { portfolios: [] } });
  assert.deepEqual(await ok, { portfolios: [] });
  await assert.rejects(bad, { code: 'invalid', field: 'quantity' });
  await pass(1000);
  await assert.rejects(late, { code: 'timeout' });
  c.close();
});

test('a write with an idempotency key is sent again after a reconnect; one without fails', async () => {
  const c = await live();
  const kept = c.call('transaction.add', { n: 1 }, { idempotencyKey: 'k1' });
  const lost = c.call('transaction.add', { n: 2 });
  FakeSocket.last.drops(1006);
  await assert.rejects(lost, { code: 'connection_lost' });
  await pass(300);
  FakeSocket.last.welcomes();
  const [again] = FakeSocket.last.of('call');
  assert.equal(again.idempotency_key, 'k1');
  FakeSocket.last.says({ id: again.id, type: 'result', result: { ok: true } });
  assert.deepEqual(await kept, { ok: true });
  c.close();
});

test('a call made before the connection waits for it', async () => {
  const c = await client();
  const answer = c.call('portfolio.list');
  assert.equal(FakeSocket.last.sent.length, 0);
  FakeSocket.last.welcomes();
  FakeSocket.last.says({ id: FakeSocket.last.of('call')[0].id, type: 'result', result: 1 });
  assert.equal(await answer, 1);
  c.close();
});

test('suspend and resume are said once each', async () => {
  const c = await live();
  c.suspend();
  c.suspend();
  assert.equal(c.state, 'suspended');
  c.resume();
  assert.equal(c.state, 'live');
  assert.deepEqual(FakeSocket.last.sent.map((m) => m.type).filter((t) => t !== 'ping'), ['suspend', 'resume']);
  c.close();
});

test('a hidden page rests: also one that was opened behind another, and again when its socket comes back', async (t) => {
  const [page, window] = [Object.assign(new EventTarget(), { hidden: true }), new EventTarget()];
  Object.assign(globalThis, { document: page, window });
  t.after(() => { Reflect.deleteProperty(globalThis, 'document'); Reflect.deleteProperty(globalThis, 'window'); });
  const c = await live();
  await pass(10_000);
  assert.equal(c.state, 'suspended');
  FakeSocket.last.drops(1012);
  await pass(5000);
  FakeSocket.last.welcomes();
  assert.equal(c.state, 'live');
  await pass(10_000);
  assert.equal(c.state, 'suspended');
  page.hidden = false;
  page.dispatchEvent(new Event('visibilitychange'));
  assert.equal(c.state, 'live');
  assert.deepEqual(FakeSocket.last.sent.map((m) => m.type).filter((k) => k !== 'ping'), ['suspend', 'resume']);
  c.close();
});

test('unknown message types and fields are ignored', async () => {
  const c = await live();
  FakeSocket.last.says({ type: 'from_the_future', x: 1 });
  FakeSocket.last.says({ type: 'prices', updates: [{ s: 'X', p: '1', t: 1, n: 1, q: 2 }], extra: true });
  assert.equal(c.state, 'live');
  c.close();
});

test('a portfolio that is not theirs is gone, not silent', async () => {
  const c = await live();
  const p = c.portfolio('p9');
  /** @type {any} */ let gone;
  p.on('gone', (e) => { gone = e; });
  FakeSocket.last.says({ id: FakeSocket.last.of('subscribe')[0].id, type: 'error', error: { code: 'not_found', message: 'portfolio not found' } });
  assert.equal(gone.code, 'not_found');
  c.close();
});

test('the round trip of a ping is told with the pong', async () => {
  const c = await live();
  let told = 0;
  c.on('pong', () => { told = c.rtt; });
  FakeSocket.last.says({ id: 'ping', type: 'pong', time: 1 });
  assert.ok(told > 0 && told < 1000);
  c.close();
});
