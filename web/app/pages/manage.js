import { Dialog, Field, Trouble, toast, useAsked, useForm } from '../ui.js';
import { api, get, post } from '../api.js';
import { load, summary } from '../portfolio.js';
import { html, useState } from '../vendor/preact.js';

const select = (/** @type {string} */ name, /** @type {any} */ value, /** @type {[string, string][]} */ options) => html`<select id=${`f-${name}`} name=${name}>${options.map(([v, text]) => html`<option key=${v} value=${v} selected=${v === value}>${text}</option>`)}</select>`;

const methods = /** @type {[string, string][]} */ ([['average', 'Average'], ['fifo', 'First in, first out']]);

/** A portfolio's settings and its accounts. @param {{close:() => void}} p */
export function Manage({ close }) {
  const p = summary.value;
  const [editing, edit] = useState(/** @type {any} */ (null));
  const accounts = useAsked(() => get(`/api/portfolios/${p?.id}/accounts`), [p?.id]);
  const form = useForm(async (f) => {
    await api('PATCH', `/api/portfolios/${p?.id}`, f);
    await load(p?.id);
    toast('Portfolio changed');
    close();
  });
  const remove = async () => {
    await api('DELETE', `/api/portfolios/${p?.id}`).then(() => { close(); load(); toast(`${p?.name} deleted`); }, (/** @type {any} */ e) => toast(e.message));
  };
  if (!p) return null;
  if (editing) return html`<${Account} portfolio=${p.id} account=${editing} close=${() => edit(null)} done=${accounts.again} />`;
  return html`<${Dialog} title="Portfolio and accounts" close=${close}><form class="stack" onSubmit=${form.submit}>
      <div class="grid2"><${Field} label="Name" name="name" required maxlength="80" defaultValue=${p.name} error=${form.error} /><${Field} label="Base currency" name="base_currency" required pattern="[A-Z]{3}" maxlength="3" defaultValue=${p.base_currency} error=${form.error} /></div>
      <div class="grid2"><${Field} label="Cost method" name="cost_method" error=${form.error}>${select('cost_method', p.cost_method, methods)}<//><${Field} label="Fees and taxes of trades" name="costs" error=${form.error}>${select('costs', p.costs, [['included', 'Part of the cost'], ['excluded', 'Shown apart']])}<//></div>
      <${Trouble} error=${form.error} fields=${['name', 'base_currency', 'cost_method', 'costs']} />
      <div class="foot"><${Delete} name=${p.name} act=${remove} /><span class="grow"></span><button class="btn primary" disabled=${form.busy}>Save</button></div></form>
    <h3>Accounts</h3><${Trouble} error=${accounts.error} />
    <ul class="parts">${(accounts.data?.accounts ?? []).map((/** @type {any} */ a) => html`<li key=${a.id}><span class="grow"><b>${a.name}</b> <span class="soft small">${a.currency}${a.tracks_cash ? ' · with cash' : ''}${a.oversell === 'short' ? ' · short sales allowed' : ''}</span></span><button type="button" class="btn slim" onClick=${() => edit(a)}>Edit</button></li>`)}</ul>
    <div class="row"><button type="button" class="btn" onClick=${() => edit({ currency: p.base_currency, oversell: 'reject', cost_method: '' })}>Add an account</button></div><//>`;
}

/** Asks twice: everything in it goes. @param {{name:string, act:() => void}} p */
function Delete({ name, act }) {
  const [sure, setSure] = useState(false);
  return html`<button type="button" class="btn danger" onClick=${() => (sure ? act() : setSure(true))}>${sure ? `Delete ${name} and all in it?` : 'Delete'}</button>`;
}

/** @param {{portfolio:string, account:any, close:() => void, done:() => void}} p */
function Account({ portfolio, account, close, done }) {
  const form = useForm(async ({ name, currency, cost_method, oversell, tracks_cash }) => {
    const body = { name, currency, cost_method, oversell, tracks_cash: tracks_cash === 'on' };
    if (account.id) await api('PATCH', `/api/portfolios/${portfolio}/accounts/${account.id}`, body);
    else await post(`/api/portfolios/${portfolio}/accounts`, body, { key: crypto.randomUUID() });
    done();
    close();
  });
  const remove = () => api('DELETE', `/api/portfolios/${portfolio}/accounts/${account.id}`).then(() => { done(); close(); }, (/** @type {any} */ e) => toast(e.message));
  return html`<${Dialog} title=${account.id ? 'Account' : 'New account'} close=${close}><form class="stack" onSubmit=${form.submit}>
    <div class="grid2"><${Field} label="Name" name="name" required maxlength="80" autofocus defaultValue=${account.name} error=${form.error} /><${Field} label="Currency" name="currency" required pattern="[A-Z]{3}" maxlength="3" defaultValue=${account.currency} error=${form.error} /></div>
    <div class="grid2"><${Field} label="Cost method" name="cost_method" error=${form.error}>${select('cost_method', account.cost_method ?? '', [['', 'As the portfolio'], ...methods])}<//><${Field} label="Selling more than is held" name="oversell" error=${form.error}>${select('oversell', account.oversell, [['reject', 'Is refused'], ['short', 'Is a short sale']])}<//></div>
    <label class="check"><input type="checkbox" name="tracks_cash" defaultChecked=${account.tracks_cash} />Track the cash of this account</label>
    <${Trouble} error=${form.error} fields=${['name', 'currency', 'cost_method', 'oversell']} />
    <div class="foot">${account.id && html`<${Delete} name=${account.name} act=${remove} /><span class="grow"></span>`}<button type="button" class="btn" onClick=${close}>Back</button><button class="btn primary" disabled=${form.busy}>Save</button></div></form><//>`;
}
