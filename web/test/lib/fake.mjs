import { mock } from 'node:test';
import { Rosetree } from '../../app/rosetree.js';

/** The browser's WebSocket as far as the client uses it; the test plays the server. */
export class FakeSocket {
  /** @type {FakeSocket[]} */ static all = [];
  static get last() { return /** @type {FakeSocket} */ (FakeSocket.all.at(-1)); }
  readyState = 0;
  /** @type {any[]} */ sent = [];
  /** @type {((e:any) => void)|null} */ onmessage = null;
  /** @type {((e:any) => void)|null} */ onclose = null;
  /** @param {string} url @param {string[]} protocols */
  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
    FakeSocket.all.push(this);
  }
  /** @param {string} text */
  send(text) { this.sent.push(JSON.parse(text)); }
  close() { this.readyState = 3; }
  /** @param {object} m */
  says(m) {
    this.readyState = 1;
    this.onmessage?.({ data: JSON.stringify(m) });
  }
  welcomes() {
    this.says({ type: 'welcome', protocol: 'rosetree.v1', heartbeat_ms: 20000, user: { id: 'u', role: 'user' } });
  }
  /** @param {number} code @param {string} [reason] */
  drops(code, reason = '') {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
  /** What was sent of one type. @param {string} type */
  of(type) { return this.sent.filter((m) => m.type === type); }
}

export const settled = () => new Promise((r) => setImmediate(r));

/** Lets fake time pass in steps, so that promises between timers get their turn. @param {number} ms */
export async function pass(ms) {
  for (let t = 0; t < ms; t += 250) {
    mock.timers.tick(Math.min(250, ms - t));
    await settled();
  }
}

/** A client on fake time with its first socket open. @param {import('../../app/rosetree.js').Options} [options] */
export async function client(options = {}) {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_790_000_000_000 });
  FakeSocket.all = [];
  const c = new Rosetree('wss://example.test/ws', { WebSocket: FakeSocket, ...options });
  c.connect();
  await settled();
  return c;
}

/** @param {import('../../app/rosetree.js').Options} [options] */
export async function live(options) {
  const c = await client(options);
  FakeSocket.last.welcomes();
  return c;
}
