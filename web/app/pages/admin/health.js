import { Health } from '../health.js';
import { client } from '../../live.js';
import { html, useEffect, useState } from '../../vendor/preact.js';

/** What the status page says of the parts, as the server tells it on the socket. */
export function Parts() {
  const [now, setNow] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const off = [client.on('health', setNow), client.follow('health')];
    return () => off.forEach((f) => f());
  }, []);
  return html`<${Health} of=${{ state: now?.status ?? null, checks: Object.entries(now?.checks ?? {}), paths: now && [{ ok: now.paths.session }, { ok: now.paths.legacy }] }} />`;
}
