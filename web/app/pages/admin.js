import { me } from '../live.js';
import { Overview } from './admin/overview.js';
import { Sessions } from './admin/sessions.js';
import { Rollout } from './admin/rollout.js';
import { Audit } from './admin/audit.js';
import { Notices } from './admin/notices.js';
import { Parts } from './admin/health.js';
import { html, useEffect, useState } from '../vendor/preact.js';

const tabs = /** @type {[string, any][]} */ ([['Sessions', Sessions], ['Rollout', Rollout], ['Audit', Audit], ['Notices', Notices], ['Health', Parts]]);

export default function Admin() {
  const [tab, setTab] = useState(() => Math.max(0, tabs.findIndex(([name]) => `#${name.toLowerCase()}` === location.hash)));
  useEffect(() => { document.title = 'Admin · Rosetree'; }, []);
  if (me.value?.role !== 'admin') return html`<div class="card empty"><h1>For administrators</h1><p>This account is not one.</p><a class="btn" href="/">To the portfolio</a></div>`;
  const choose = (/** @type {number} */ i) => {
    setTab(i);
    history.replaceState(null, '', `#${tabs[i][0].toLowerCase()}`);
  };
  const Page = tabs[tab][1];
  return html`<div class="pagehead"><h1>Admin</h1><div class="seg" role="tablist" aria-label="Admin">${tabs.map(([name], i) => html`<button type="button" role="tab" key=${name} aria-selected=${i === tab ? 'true' : 'false'} aria-controls="panel" onClick=${() => choose(i)}>${name}</button>`)}</div></div>
    <${Overview} /><div id="panel" role="tabpanel" class="stack" aria-label=${tabs[tab][0]}><${Page} /></div>`;
}
