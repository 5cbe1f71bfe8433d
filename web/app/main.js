import { begin, ended, me } from './live.js';
import { close, load } from './portfolio.js';
import { go, path } from './nav.js';
import { Shell } from './shell.js';
import { Home } from './pages/home.js';
import { later as lazy } from './ui.js';
import { effect, html, render, signal } from './vendor/preact.js';

const Login = lazy(() => import('./pages/login.js').then((m) => m.Login));

// The first screen is loaded at once, every other page when it is first opened.
/** @type {Record<string, () => Promise<{default:any}>>} */
const later = {
  '/activity': () => import('./pages/activity.js'),
  '/watchlists': () => import('./pages/watchlists.js'),
  '/alerts': () => import('./pages/alerts.js'),
  '/sessions': () => import('./pages/sessions.js'),
  '/admin': () => import('./pages/admin.js'),
  '/status': () => import('./pages/status.js'),
  '/settings': () => import('./pages/settings.js'),
  '/docs': () => import('./pages/docs.js'),
};
const open = ['/status', '/docs']; // pages that need no log-in
const loaded = signal(/** @type {Record<string, any>} */ ({ '/': Home }));

effect(() => {
  const p = path.value;
  if (!later[p] || loaded.value[p]) return;
  later[p]().then((m) => { loaded.value = { ...loaded.value, [p]: m.default }; },
    () => { loaded.value = { ...loaded.value, [p]: Unloaded }; });
});

const Unloaded = () => html`<div class="card empty"><p>This page could not be loaded. The server may have a newer version.</p>
  <button type="button" class="btn primary" onClick=${() => location.reload()}>Reload</button></div>`;
const Missing = () => html`<div class="card empty"><h1>There is nothing at this address</h1><a class="btn" href="/">To the portfolio</a></div>`;
const Wait = () => html`<p class="sr" role="status">Loading</p>`;

function App() {
  const p = path.value, user = me.value;
  if (user === undefined) return null;
  if (p === '/login' || (!user && !open.includes(p))) return html`<${Login} done=${() => go(p === '/login' ? '/' : p)} />`;
  const Page = loaded.value[p] ?? (later[p] ? Wait : Missing);
  return html`<${Shell}><${Page} key=${p} /><//>`;
}

// The moment a session ends, its figures leave the page's memory; what is left on screen says why.
effect(() => { if (ended.value) close(); });

effect(() => {
  const user = me.value;
  if (user && path.value === '/login') go('/');
});

const root = document.getElementById('app');
if (root) {
  render(html`<${App} />`, root);
  begin().then((user) => user && load(), () => {
    me.value = null;
    if (!open.includes(path.value)) go('/status');
  });
}
