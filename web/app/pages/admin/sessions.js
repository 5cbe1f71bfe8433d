import { Icon, Menu, Trouble, useAsked, whileShown } from '../../ui.js';
import { get, url } from '../../api.js';
import { ago, amount, count, time } from '../../format.js';
import { afterGap, client, conn } from '../../live.js';
import { Receipts, Revoke, sinceClick } from './revoke.js';
import { html, useEffect, useRef, useState } from '../../vendor/preact.js';

/** @param {any} s */
export const who = (s) => s.user?.email ?? s.email ?? s.user?.id ?? s.user_id ?? s.user ?? '–';
/** @param {any} s */
export const userOf = (s) => s.user?.id ?? s.user_id ?? s.user;

/**
 * What the socket says of sessions: one that ended is struck out at once, whoever ended it; those that began are
 * asked for together, and only while the first page is on screen, because it is where they stand.
 * @param {() => void} again @param {boolean} top @param {(n:{id?:string, user?:string}) => void} ended
 */
function useNews(again, top, ended) {
  const [newer, setNewer] = useState(0);
  const state = useRef({ top, ended, timer: 0, waiting: 0 });
  Object.assign(state.current, { top, ended });
  const read = () => { state.current.waiting = 0; setNewer(0); again(); };
  useEffect(() => {
    const now = state.current;
    const off = [client.on('session', (n) => {
      if (n.event === 'ended') return now.ended(n);
      if (n.event === 'started') now.waiting++;
      if (!now.top || document.hidden) return setNewer(now.waiting);
      now.timer ||= window.setTimeout(() => { now.timer = 0; read(); }, 1000);
    }), afterGap(read), client.follow('sessions'), // who reads the older ones is thrown back: some of them may have ended
    whileShown(60000, () => now.top && again())]; // when last seen: of requests nobody tells
    return () => { clearTimeout(now.timer); off.forEach((f) => f()); };
  }, []);
  return { newer, read };
}

/** Live sessions, a hundred at a time: however many there are, the page holds what was asked for. */
export function Sessions() {
  const [q, setQ] = useState(''), [path, setPath] = useState('');
  const [pages, setPages] = useState(/** @type {any[]} */ ([]));
  const [picked, pick] = useState(/** @type {Set<string>} */ (new Set()));
  const [gone, setGone] = useState(/** @type {Map<string, number>} */ (new Map()));
  const [target, setTarget] = useState(/** @type {any} */ (null));
  const read = (/** @type {Record<string, string>} */ query) => (conn.peek() === 'live' ? client.call('admin.session.list', query) : get(url('/api/admin/sessions', query)));
  const first = useAsked(() => read({ q, auth: path }), [q, path]);
  useEffect(() => setPages([]), [q, path]);
  const shown = useRef(/** @type {any[]} */ ([]));
  const news = useNews(() => { setPages([]); first.again(); }, !pages.length, (n) => {
    const hit = shown.current.filter((s) => s.id === n.id || (n.user && userOf(s) === n.user) || (!n.id && !n.user && !s.current));
    if (!hit.length) return;
    const ms = sinceClick();
    setGone((g) => new Map([...g, ...hit.filter((s) => !g.has(s.id)).map((s) => /** @type {[string, number]} */ ([s.id, ms]))]));
    pick((p) => new Set([...p].filter((id) => !hit.some((s) => s.id === id))));
  });
  useEffect(() => client.on('sockets', ({ open }) => {
    if (!shown.current.some((s) => s.id in open)) return;
    const counted = (/** @type {any} */ page) => ({ ...page, sessions: page.sessions.map((/** @type {any} */ s) => (s.id in open ? { ...s, sockets: open[s.id] } : s)) });
    first.change(counted);
    setPages((all) => all.map(counted));
  }), []);
  const next = (pages.at(-1) ?? first.data)?.next ?? null;
  const list = [first.data, ...pages].flatMap((p) => p?.sessions ?? []);
  shown.current = list;
  const toggle = (/** @type {string} */ id) => {
    const set = new Set(picked);
    set.delete(id) || set.add(id);
    pick(set);
  };
  const timer = useRef(0);
  const search = (/** @type {any} */ e) => { clearTimeout(timer.current); timer.current = window.setTimeout(() => setQ(e.target.value.trim()), 200); };
  return html`<section class="card live" aria-labelledby="live"><header><h2 id="live">Live sessions</h2><span class="grow"></span>
      <input type="search" class="search" placeholder="User, address, device  /" aria-label="Search sessions" onInput=${search} />
      <select class="slim" aria-label="Only this path" value=${path} onChange=${(/** @type {any} */ e) => setPath(e.target.value)}><option value="">Both paths</option><option value="session">Sessions</option><option value="legacy">Legacy</option></select>
      <button type="button" class="btn slim danger" disabled=${!picked.size} onClick=${() => setTarget({ kind: 'some', sessions: list.filter((s) => picked.has(s.id)) })}>Revoke ${picked.size || ''} selected</button>
      <button type="button" class="btn slim danger" onClick=${() => setTarget({ kind: 'all' })}>Revoke all …</button></header>
    <${Trouble} error=${first.error} />
    ${news.newer > 0 && html`<p class="pad row"><button type="button" class="btn slim" onClick=${news.read}>Show ${count(news.newer)} newer</button></p>`}
    <div class="scroll" tabindex="0"><table><caption class="sr">Live sessions</caption><thead><tr><th scope="col"><span class="sr">Select</span></th><th scope="col">User</th><th scope="col" class="wide">Session</th><th scope="col" class="wide">Path</th><th scope="col" class="wide">Device</th><th scope="col" class="wide">Address</th><th scope="col" class="wide">Since</th><th scope="col" class="num wide">Sockets</th><th scope="col" class="wide">Last frame</th><th scope="col" class="wide">Last seen</th><th scope="col"><span class="sr">Acts</span></th></tr></thead>
      <tbody>${list.map((s) => html`<tr key=${s.id} data-session=${s.id} data-row=${s.id} tabindex="-1" class=${gone.has(s.id) ? 'gone' : ''}>
        <td><input type="checkbox" aria-label=${`Select ${who(s)}`} checked=${picked.has(s.id)} disabled=${gone.has(s.id)} onChange=${() => toggle(s.id)} /></td>
        <td class="user">${who(s)}<span class="under soft small">${s.device?.name || s.ip}, ${ago(s.last_seen_at)}<br />${gone.has(s.id) ? 'no socket' : amount(s.sockets ?? 0, 'socket')}</span></td><td class="wide"><code title=${s.id}>…${String(s.id).slice(-10)}</code></td><td class="wide"><span class="tag">${s.auth ?? s.via ?? 'session'}</span></td><td class="wide">${s.device?.name || '–'}</td><td class="wide">${s.ip || '–'}</td><td class="wide">${time(s.created_at)}</td><td class="num wide">${gone.has(s.id) ? '0' : count(s.sockets ?? 0)}</td><td class="wide">${s.sockets && !gone.has(s.id) ? ago(s.last_frame_at) : '–'}</td><td class="wide">${ago(s.last_seen_at)}</td>
        <td class="act">${gone.has(s.id) ? html`<span class="tag bad">ended${gone.get(s.id) ? ` in ${gone.get(s.id)} ms` : ''}</span>` : html`<button type="button" class="btn slim danger" onClick=${() => setTarget({ kind: 'one', sessions: [s] })}>Revoke</button>
          <${Menu} kind="btn quiet icon slim" title=${`More for ${who(s)}`} label=${html`<${Icon} name="down" size="14" />`}><button type="button" onClick=${() => setTarget({ kind: 'user', sessions: [s] })}>Revoke all of this user</button><//>`}</td></tr>`)}</tbody></table></div>
    ${first.data && !list.length ? html`<p class="empty">No session matches.</p>` : null}
    ${next && html`<p class="pad row"><button type="button" class="btn" onClick=${async () => setPages([...pages, await read({ q, auth: path, cursor: next })])}>Show more</button><span class="soft small">${count(list.length)} shown</span></p>`}</section>
    <${Receipts} />
    ${target && html`<${Revoke} target=${target} close=${() => setTarget(null)} />`}`;
}
