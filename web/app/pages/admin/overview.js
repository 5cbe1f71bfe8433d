import { client } from '../../live.js';
import { count, percent } from '../../format.js';
import { html, signal, useEffect } from '../../vendor/preact.js';

/** Sockets, sessions, rates and latencies as they were last told. */
export const overview = signal(/** @type {any} */ (null));

/** @param {any} v @param {number} [digits] */
const ms = (v, digits = 1) => (v === null || v === undefined ? '–' : `${Number(v).toFixed(digits)} ms`);

/** Figures that move all the time: the server says them, on the socket, where they have changed. */
export function Overview() {
  useEffect(() => {
    const off = [client.on('overview', (o) => { overview.value = o; }), client.follow('overview')];
    return () => off.forEach((f) => f());
  }, []);
  const o = overview.value;
  const figures = /** @type {[string, any][]} */ ([['Sockets', count(o?.sockets)], ['Users', count(o?.users)], ['Sessions', count(o?.sessions)],
    ['Session / legacy', o?.session_share === undefined || o?.session_share === null ? '–' : `${Math.round(o.session_share)} / ${100 - Math.round(o.session_share)} %`], ['Validation p95', ms(o?.validate_p95_ms)], ['Revocation p95', ms(o?.revoke_p95_ms)], ['Our errors', percent(o?.error_rate, false)]]);
  return html`<dl class="card kpis">${figures.map(([k, v]) => html`<div key=${k}><dt>${k}</dt><dd>${v}</dd></div>`)}</dl>`;
}
