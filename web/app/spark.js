import { client, conn } from './live.js';
import { settings } from './settings.js';
import { whileShown } from './ui.js';
import { html, signal, useEffect, useRef } from './vendor/preact.js';

// The last sixty minutes of each symbol, as much as this page and the candles know: a point every five seconds at first, and a
// point a minute once there are as many as the line has room for.
const MINUTES = 60;

/** @type {Map<string, number[][]>} */ const kept = new Map();
const turn = signal(0);

/** Remembers a price for the line. @param {string} symbol @param {number} p */
export function seen(symbol, p) {
  if (!Number.isFinite(p)) return;
  const line = kept.get(symbol) ?? [], now = Date.now(), last = line.at(-1);
  if (last && now - last[0] < (line.length < MINUTES ? 5000 : 60000)) last[1] = p;
  else line.push([now, p]);
  while (line.length && now - line[0][0] > MINUTES * 60000) line.shift();
  kept.set(symbol, line);
}

whileShown(5000, () => { if (kept.size) turn.value++; });

/** @type {Set<string>} */ const asked = new Set();

/** Fills a line from the minute candles, once a symbol. @param {string} symbol */
async function fill(symbol) {
  if (asked.has(symbol) || conn.peek() !== 'live') return;
  asked.add(symbol);
  const from = new Date(Date.now() - MINUTES * 60000).toISOString();
  const answer = await client.call('price.candles', { symbol, interval: '1m', from }).catch(() => null);
  const old = (answer?.candles ?? []).map((/** @type {any} */ c) => [new Date(c.t ?? c.at).getTime(), Number(c.c ?? c.close)]);
  const first = kept.get(symbol)?.[0]?.[0] ?? Infinity;
  kept.set(symbol, [...old.filter((/** @type {number[]} */ p) => p[0] < first), ...(kept.get(symbol) ?? [])]);
  turn.value++;
}

/** @param {{symbol:string}} p a small line of the last hour, drawn anew every five seconds */
export function Spark({ symbol }) {
  const ref = useRef(/** @type {HTMLCanvasElement|null} */ (null));
  const t = turn.value, look = settings.value;
  useEffect(() => { fill(symbol); }, [symbol, conn.value]);
  useEffect(() => { if (ref.current) draw(ref.current, kept.get(symbol) ?? []); }, [t, look]);
  return html`<canvas ref=${ref} aria-hidden="true" />`;
}

/** @param {HTMLCanvasElement} canvas @param {number[][]} line */
function draw(canvas, line) {
  const w = canvas.clientWidth, h = canvas.clientHeight, scale = Math.min(2, devicePixelRatio || 1);
  if (!w || line.length < 2) return;
  if (canvas.width !== w * scale) canvas.width = w * scale, canvas.height = h * scale;
  const c = canvas.getContext('2d');
  if (!c) return;
  const prices = line.map((p) => p[1]), end = prices[prices.length - 1], low = Math.min(...prices), high = Math.max(...prices), t0 = line[0][0], dt = line[line.length - 1][0] - t0 || 1;
  c.setTransform(scale, 0, 0, scale, 0, 0);
  c.clearRect(0, 0, w, h);
  canvas.className = end >= prices[0] ? 'up' : 'down';
  c.strokeStyle = getComputedStyle(canvas).color;
  c.lineWidth = 1.5;
  c.lineJoin = 'round';
  c.beginPath();
  for (const [t, p] of line) c.lineTo(1 + ((t - t0) / dt) * (w - 2), h - 3 - ((p - low) / (high - low || 1)) * (h - 6));
  c.stroke();
}
