// @ts-check
/**
 * Rosetree's client: one socket, reconnecting, always the newest value and never a queue.
 * Protocol: /docs. Apache-2.0.
 *
 * @typedef {'idle'|'connecting'|'live'|'stalled'|'waiting'|'suspended'|'ended'} State
 * @typedef {{reason:string, code:number, by?:string|null, at?:string|null, text?:string}} End  why there will be no other connection; text: what an administrator wrote for the user
 * @typedef {{s:string, p:string, t:number, n:number}} Quote
 * @typedef {{symbol:string} & Record<string, any>} Holding
 * @typedef {Record<string, any>} Message
 * @typedef {object} Options
 * @property {() => (string|undefined|Promise<string|undefined>)} [getToken] a ticket for the next connection; left out: the cookie
 * @property {() => (End|null|Promise<End|null>)} [refused] asked when a socket would not open: an end, or null to go on trying
 * @property {{min?:number, max?:number}} [backoff] milliseconds, 250 to 15,000 with full jitter
 * @property {{ping?:number, stalled?:number, dead?:number, hidden?:number}|false} [lifecycle] milliseconds; false: the caller drives
 * @property {any} [WebSocket]
 */

/** An error that the server answered, or `connection_lost` or `timeout` from here. */
export class RosetreeError extends Error {
  /** @param {{code:string, message:string, field?:string}} e */
  constructor(e) {
    super(e.message);
    this.code = e.code;
    this.field = e.field;
  }
}

class Emitter {
  /** @type {Map<string, Set<Function>>} */ #on = new Map();
  /** @param {string} event @param {(value:any) => void} fn @returns {() => void} turns it off */
  on(event, fn) {
    const set = this.#on.get(event) ?? new Set();
    this.#on.set(event, set.add(fn));
    return () => void set.delete(fn);
  }
  /** @param {string} event @param {any} [value] */
  emit(event, value) {
    for (const fn of [...(this.#on.get(event) ?? [])]) fn(value);
  }
}

/** What was subscribed; for await gives what is new since the last turn, merged, never a backlog. */
class Stream extends Emitter {
  closed = false;
  /** @param {() => void} stop */
  constructor(stop) {
    super();
    this.close = () => {
      if (this.closed) return;
      this.closed = true;
      stop();
      this.emit('new');
    };
  }
  /** @returns {any} what changed since it was last asked, or undefined */
  take() {}
  async *[Symbol.asyncIterator]() {
    while (!this.closed) {
      const v = this.take();
      if (v !== undefined) yield v;
      else await new Promise((woken) => { const off = this.on('new', () => { off(); woken(0); }); });
    }
  }
}

/** Events: snapshot, update (both Quote[]), rejected. */
export class Prices extends Stream {
  /** @type {Map<string, Quote>} */ latest = new Map();
  /** @type {Map<string, Quote>} */ #fresh = new Map();
  /** @param {Set<string>} symbols @param {number|undefined} maxHz @param {(p:Prices) => void} stop */
  constructor(symbols, maxHz, stop) {
    super(() => stop(this));
    this.symbols = symbols;
    this.maxHz = maxHz;
  }
  /** @param {Quote[]} updates @param {boolean} snapshot */
  apply(updates, snapshot) {
    const mine = updates.filter((q) => this.symbols.has(q.s) || this.symbols.has('*'));
    if (!mine.length) return;
    for (const q of mine) this.latest.set(q.s, q), this.#fresh.set(q.s, q);
    this.emit(snapshot ? 'snapshot' : 'update', mine);
    this.emit('new');
  }
  /** @param {{symbol:string}[]} rejected of all that was asked for */
  refused(rejected) {
    const mine = rejected.filter((r) => this.symbols.has(r.symbol));
    if (mine.length) this.emit('rejected', mine);
  }
  take() {
    if (!this.#fresh.size) return;
    const quotes = [...this.#fresh.values()];
    this.#fresh.clear();
    return quotes;
  }
}

/** Events: snapshot, resync (a snapshot after a gap), change, valuation, gone. `holdings` is always whole. */
export class Portfolio extends Stream {
  version = 0;
  /** @type {Map<string, Holding>} */ holdings = new Map();
  /** @type {Record<string, any>} */ totals = {};
  #fresh = false;
  /** @param {string} id @param {() => void} stop */
  constructor(id, stop) {
    super(stop);
    this.id = id;
  }
  /** @param {Message} m */
  apply(m) {
    if (m.type === 'valuation' && m.version < this.version) return; // valued before a change that is already here
    const first = this.version === 0;
    if (m.snapshot) this.holdings = new Map();
    for (const h of m.holdings ?? []) this.holdings.set(h.symbol, { ...this.holdings.get(h.symbol), ...h });
    for (const s of m.removed ?? []) this.holdings.delete(s);
    this.totals = { ...this.totals, ...m.totals };
    this.version = m.version;
    this.#fresh = true;
    this.emit(m.snapshot ? (first ? 'snapshot' : 'resync') : m.type === 'valuation' ? 'valuation' : 'change', m);
    this.emit('new');
  }
  take() {
    if (!this.#fresh) return;
    this.#fresh = false;
    return { version: this.version, holdings: [...this.holdings.values()], totals: this.totals };
  }
}

const defaults = { ping: 5000, stalled: 4000, dead: 20000, hidden: 10000 };

/** Events: state (State), ended (End), notice, welcome, reauth, message (every one), error (of what was asked without an answer). */
export class Rosetree extends Emitter {
  /** @type {State} */ state = 'idle';
  /** When the next attempt is due, in Unix milliseconds, while waiting. */ retryAt = 0;
  /** The last measured round trip in milliseconds. */ rtt = 0;
  /** When anything was last heard, in Unix milliseconds. */ heardAt = 0;
  /** @type {Message|null} */ welcome = null;

  #gen = 0; // a socket of an older generation is never listened to, and never waited for
  /** @type {any} */ #ws = null;
  /** @type {any} */ #retry = 0;
  /** @type {any} */ #beat = 0;
  /** @type {any} */ #hide = 0;
  #attempt = 0;
  #ids = 0;
  #liveAt = 0;
  #beatAt = 0;
  #pingAt = 0;
  /** @type {Message|null} */ #bye = null;
  /** @type {Map<number, {msg:Message, sent:boolean, keep:boolean, done:(m:Message) => void, fail:(e:Error) => void, timer:any}>} */ #calls = new Map();
  /** @type {Set<Prices>} */ #prices = new Set();
  /** @type {Map<string, Portfolio>} */ #portfolios = new Map();
  /** @type {Set<string>} */ #channels = new Set();
  /** @type {Array<() => void>} */ #off = [];

  /** @param {string} url ws: or wss:, or a path of this page's origin @param {Options} [options] */
  constructor(url, options = {}) {
    super();
    this.url = url.startsWith('/') ? location.origin.replace(/^http/, 'ws') + url : url;
    this.options = options;
    this.life = { ...defaults, ...(options.lifecycle || {}) };
    if (options.lifecycle !== false && typeof document !== 'undefined') this.#watchPage();
  }

  connect() {
    if (this.state === 'idle') this.#open();
    return this;
  }

  /** Tries now instead of at retryAt. */
  reconnect() {
    if (this.state !== 'ended' && this.state !== 'idle') this.#open();
  }

  /** @param {Iterable<string>} symbols ['*'] for all @param {{maxHz?:number}} [options] */
  prices(symbols, { maxHz } = {}) {
    const stream = new Prices(new Set(symbols), maxHz, (p) => {
      this.#prices.delete(p);
      const gone = [...p.symbols].filter((s) => !this.#wanted().has(s));
      if (gone.length) this.#send({ type: 'unsubscribe', channel: 'prices', symbols: gone });
    });
    this.#prices.add(stream);
    this.#subscribePrices([...stream.symbols], maxHz);
    return stream;
  }

  /** @param {string} id */
  portfolio(id) {
    const known = this.#portfolios.get(id);
    if (known) return known;
    const stream = new Portfolio(id, () => {
      this.#portfolios.delete(id);
      this.#send({ type: 'unsubscribe', channel: 'portfolio', portfolio: id });
    });
    this.#portfolios.set(id, stream);
    this.#subscribePortfolio(stream);
    return stream;
  }

  /** Follows notices, or for admins sessions, rollout, overview, health or audit; what comes is emitted under its message's type. @param {string} channel */
  follow(channel) {
    this.#channels.add(channel);
    this.#send({ type: 'subscribe', channel });
    return () => {
      this.#channels.delete(channel);
      this.#send({ type: 'unsubscribe', channel });
    };
  }

  /**
   * Calls an operation. With an idempotency key it is sent again after a reconnect; without one it then fails
   * with `connection_lost`, because nobody can say whether it happened.
   * @param {string} method @param {object} [params] @param {{idempotencyKey?:string, timeout?:number}} [options] @returns {Promise<any>}
   */
  call(method, params = {}, { idempotencyKey, timeout = 15000 } = {}) {
    return new Promise((done, fail) => {
      const id = ++this.#ids;
      /** @type {Message} */ const msg = { id, type: 'call', method, params };
      if (idempotencyKey) msg.idempotency_key = idempotencyKey;
      const timer = setTimeout(() => {
        this.#calls.delete(id);
        fail(new RosetreeError({ code: 'timeout', message: 'no answer in time' }));
      }, timeout);
      const call = { msg, keep: !!idempotencyKey, sent: false, done, fail, timer };
      this.#calls.set(id, call);
      call.sent = this.#send(msg);
    });
  }

  /** Renews the socket's credentials in place. @param {string} token */
  auth(token) {
    this.#send({ id: ++this.#ids, type: 'auth', token });
  }

  /** No data until resume, which brings snapshots. */
  suspend() {
    if (this.state !== 'live' && this.state !== 'stalled') return;
    this.#send({ type: 'suspend' });
    this.#set('suspended');
    this.#startBeat(this.welcome?.heartbeat_ms ?? this.life.dead);
  }

  resume() {
    if (this.state !== 'suspended') return;
    this.#send({ type: 'resume' });
    this.#set('live');
    this.#startBeat(1000);
  }

  /** Closes for good. */
  close() {
    for (const off of this.#off) off();
    this.#end({ reason: 'closed', code: 1000 });
  }

  // ---- connection

  async #open() {
    const gen = ++this.#gen;
    clearTimeout(this.#retry);
    this.#drop();
    this.#set('connecting');
    let ticket;
    try {
      ticket = await this.options.getToken?.();
    } catch {
      if (gen === this.#gen) this.#wait(gen, 0);
      return;
    }
    if (gen !== this.#gen) return;
    const ws = new (this.options.WebSocket ?? WebSocket)(this.url, ticket ? ['rosetree.v1', `rosetree.ticket.${ticket}`] : ['rosetree.v1']);
    this.#ws = ws;
    ws.onmessage = (/** @type {any} */ e) => gen === this.#gen && this.#receive(JSON.parse(e.data));
    ws.onclose = (/** @type {any} */ e) => gen === this.#gen && this.#closed(gen, e.code, e.reason ?? '');
    ws.onerror = () => {};
    this.heardAt = Date.now();
    this.#pingAt = 0;
    this.#startBeat(1000);
  }

  /** @param {number} gen @param {number} code @param {string} reason */
  async #closed(gen, code, reason) {
    const bye = this.#bye, opened = !!this.welcome;
    this.#drop();
    if (code >= 4500 && code < 5000) return this.#end({ code, reason: bye?.reason ?? (reason.split(' ')[0] || 'closed'), by: bye?.by, at: bye?.at, text: bye?.text });
    if (!opened && this.options.refused) {
      const end = await Promise.resolve(this.options.refused()).catch(() => null);
      if (gen !== this.#gen) return;
      if (end) return this.#end(end);
    }
    this.#wait(gen, Number(bye?.retry_ms ?? /retry_ms=(\d+)/.exec(reason)?.[1] ?? 0));
  }

  /** @param {number} gen @param {number} hint milliseconds that the server asked for */
  #wait(gen, hint) {
    const { min = 250, max = 15000 } = this.options.backoff ?? {};
    if (this.#liveAt && Date.now() - this.#liveAt > 5000) this.#attempt = 0;
    this.#liveAt = 0;
    const delay = hint || Math.random() * Math.min(max, min * 2 ** this.#attempt++);
    this.retryAt = Date.now() + delay;
    this.#set('waiting');
    this.#retry = setTimeout(() => gen === this.#gen && this.#open(), delay);
  }

  /** @param {End} end */
  #end(end) {
    this.#gen++;
    clearTimeout(this.#retry);
    this.#drop();
    for (const id of [...this.#calls.keys()]) this.#settle(id)?.fail(new RosetreeError({ code: end.reason, message: 'the connection has ended' }));
    this.#set('ended');
    this.emit('ended', end);
  }

  #drop() {
    const ws = this.#ws;
    this.#ws = this.welcome = this.#bye = null;
    clearInterval(this.#beat);
    if (ws) {
      ws.onmessage = ws.onclose = null;
      if (ws.readyState < 2) ws.close();
    }
    for (const [id, c] of this.#calls) {
      if (c.sent && !c.keep) this.#settle(id)?.fail(new RosetreeError({ code: 'connection_lost', message: 'the connection was lost before the answer came' }));
      c.sent = false;
    }
  }

  /** @param {State} state */
  #set(state) {
    if (this.state === state) return;
    this.state = state;
    this.emit('state', state);
  }

  // ---- messages

  /** @param {Message} m */
  #receive(m) {
    this.heardAt = Date.now();
    if (this.state === 'stalled') this.#set('live');
    switch (m.type) {
      case 'welcome': this.#welcomed(m); break;
      case 'bye': this.#bye = m; break;
      case 'pong': this.rtt = performance.now() - this.#pingAt; this.#pingAt = 0; break;
      case 'prices': for (const p of this.#prices) p.apply(m.updates, !!m.snapshot); break;
      case 'portfolio': case 'valuation': this.#portfolios.get(m.portfolio)?.apply(m); break;
      case 'subscribed': for (const p of this.#prices) p.refused(m.rejected ?? []); break;
      case 'result': this.#settle(m.id)?.done(m.result); break;
      case 'error': if (this.#failed(m)) return this.emit('message', m); break;
    }
    if (!['result', 'state', 'ended'].includes(m.type)) this.emit(m.type, m);
    this.emit('message', m);
  }

  /** @param {Message} m @returns {boolean} whether a call waited for it */
  #failed(m) {
    const call = this.#settle(m.id), id = /^portfolio:(.*)/.exec(m.id)?.[1];
    if (id) this.#portfolios.get(id)?.emit('gone', m.error);
    call?.fail(new RosetreeError(m.error));
    return !!call;
  }

  /** @param {Message} m */
  #welcomed(m) {
    this.welcome = m;
    this.#liveAt = Date.now();
    this.#set('live');
    /** @type {Map<number|undefined, string[]>} */ const byHz = new Map();
    for (const [s, hz] of this.#wanted()) byHz.set(hz, [...(byHz.get(hz) ?? []), s]);
    for (const [hz, symbols] of byHz) this.#subscribePrices(symbols, hz);
    for (const p of this.#portfolios.values()) this.#subscribePortfolio(p);
    for (const channel of this.#channels) this.#send({ type: 'subscribe', channel });
    for (const c of this.#calls.values()) c.sent ||= this.#send(c.msg); // one that was made just now, on hearing of the state, is sent
    this.#ping();
    this.#rest();
  }

  /** @param {number} id */
  #settle(id) {
    const c = this.#calls.get(id);
    if (c) clearTimeout(c.timer), this.#calls.delete(id);
    return c;
  }

  /** @returns {Map<string, number|undefined>} */
  #wanted() {
    return new Map([...this.#prices].flatMap((p) => [...p.symbols].map((s) => [s, p.maxHz])));
  }

  /** @param {string[]} symbols @param {number} [maxHz] */
  #subscribePrices(symbols, maxHz) {
    this.#send({ id: 'prices', type: 'subscribe', channel: 'prices', symbols, ...(maxHz && { max_hz: maxHz }) });
  }

  /** @param {Portfolio} p */
  #subscribePortfolio(p) {
    this.#send({ id: `portfolio:${p.id}`, type: 'subscribe', channel: 'portfolio', portfolio: p.id, ...(p.version && { since: p.version }) });
  }

  /** @param {Message} m @returns {boolean} whether it was given to the socket */
  #send(m) {
    if (!this.welcome || this.#ws?.readyState !== 1) return false;
    this.#ws.send(JSON.stringify(m));
    return true;
  }

  // ---- life: silence, sleep, hidden pages

  /** @param {number} every milliseconds: seldom while suspended, when only the server's heartbeats come */
  #startBeat(every) {
    clearInterval(this.#beat);
    this.#beatAt = Date.now();
    this.#beat = setInterval(() => this.#beatOnce(every), every);
    this.#beat.unref?.();
  }

  /** @param {number} every */
  #beatOnce(every) {
    const now = Date.now(), slept = now - this.#beatAt > every + 9000, silent = now - this.heardAt;
    this.#beatAt = now;
    const throttled = typeof document !== 'undefined' && document.hidden; // a hidden page's timers may come once a minute
    const quiet = this.state === 'suspended' || throttled; // then only the server's heartbeats come
    if ((slept && !throttled) || silent > (quiet ? Math.max(this.life.dead, 3 * (this.welcome?.heartbeat_ms ?? 0)) : this.life.dead)) return this.#open();
    if (this.state === 'live' && silent > this.life.stalled && this.#pingAt) this.#set('stalled');
    if (this.state === 'live' && (!this.#pingAt || performance.now() - this.#pingAt > this.life.ping) && now % this.life.ping < 1000) this.#ping();
  }

  #ping() {
    if (this.#send({ id: 'ping', type: 'ping' }) && !this.#pingAt) this.#pingAt = performance.now();
  }

  /** Suspends soon where nobody looks: also a page that was opened behind another, or whose socket came back while it was hidden. */
  #rest() {
    clearTimeout(this.#hide);
    if (this.#off.length && document.hidden) this.#hide = setTimeout(() => this.suspend(), this.life.hidden);
  }

  #watchPage() {
    const listen = (/** @type {EventTarget} */ target, /** @type {string} */ event, /** @type {(e:any) => void} */ fn) => {
      target.addEventListener(event, fn);
      this.#off.push(() => target.removeEventListener(event, fn));
    };
    const back = () => {
      this.resume();
      if (this.state === 'waiting' || (this.#ws && Date.now() - this.heardAt > this.life.dead)) this.reconnect();
    };
    listen(document, 'visibilitychange', () => {
      this.#rest();
      if (!document.hidden) back();
    });
    listen(window, 'pageshow', (e) => e.persisted && this.reconnect());
    listen(window, 'online', () => this.reconnect());
  }
}
