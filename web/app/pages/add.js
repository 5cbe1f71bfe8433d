import { Dialog, Field, Trouble, toast, useForm } from '../ui.js';
import { get } from '../api.js';
import { client } from '../live.js';
import { decimal, times } from '../decimal.js';
import { current, summary } from '../portfolio.js';
import { SymbolField } from './symbol.js';
import { types } from './types.js';
import { html, useEffect, useRef, useState } from '../vendor/preact.js';

const traded = ['buy', 'sell', 'transfer_in', 'transfer_out', 'stock_dividend', 'reward', 'adjustment'];
const symbolless = ['interest', 'fee', 'tax', 'deposit', 'withdrawal'];
const numbers = ['quantity', 'price', 'amount', 'fee', 'tax'];

/** Local date and time for an input, from an instant. @param {string|undefined} at */
function local(at) {
  const d = at ? new Date(at) : new Date();
  return new Date(d.getTime() - d.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

/** @param {Record<string, string>} f @param {string} type @param {Record<string, any>} initial what the form began with: an edit keeps the account and the seconds that it did not touch */
function body(f, type, initial) {
  const when = initial.id && f.executed_at === local(initial.executed_at) ? initial.executed_at : new Date(f.executed_at).toISOString();
  const out = /** @type {Record<string, any>} */ ({ account: f.account || initial.account, type, currency: f.currency.toUpperCase(), executed_at: when, note: f.note });
  if (!symbolless.includes(type)) out.symbol = f.symbol.trim().toUpperCase();
  for (const name of numbers) if (decimal(f[name])) out[name] = decimal(f[name]);
  if (initial.id) Object.assign(out, emptied(out, type, initial));
  return out;
}

/** What an edit takes away: what it does not name would stay. @param {Record<string, any>} out @param {string} type @param {Record<string, any>} initial */
function emptied(out, type, initial) {
  const gone = numbers.filter((name) => initial[name] && !out[name] && !(name === 'amount' && traded.includes(type) && !out.price)); // a trade whose sum is known keeps it until it gets a price
  if (initial.symbol && ['deposit', 'withdrawal'].includes(type)) gone.push('symbol');
  if (initial.fx_rate && initial.currency !== out.currency) gone.push('fx_rate');
  return Object.fromEntries(gone.map((name) => [name, '']));
}

/** @param {{initial:Record<string, any>, close:() => void, done?:() => void, remove?:() => void}} p adds a transaction, or edits one that has an id */
export function AddTransaction({ initial, close, done, remove }) {
  const edit = !!initial.id, portfolio = current.value;
  const [type, setType] = useState(initial.type ?? 'buy');
  const [accounts, setAccounts] = useState(/** @type {any[]} */ ([]));
  const key = useRef(crypto.randomUUID());
  const currency = useRef(/** @type {HTMLInputElement|null} */ (null)), price = useRef(/** @type {HTMLInputElement|null} */ (null));
  useEffect(() => { get(`/api/portfolios/${portfolio}/accounts`).then((a) => setAccounts(a.accounts ?? []), () => {}); }, [portfolio]);
  const picked = (/** @type {any} */ i) => {
    if (currency.current && i.currency) currency.current.value = i.currency;
    if (price.current && !price.current.value && i.price) price.current.value = i.price;
  };
  const form = useForm(async (f) => {
    const tx = body(f, type, initial);
    const made = await client.call(edit ? 'transaction.update' : 'transaction.add', { portfolio, ...(edit && { transaction: initial.id }), ...tx }, { idempotencyKey: key.current });
    toast(edit ? 'Transaction changed' : `${types.find(([k]) => k === type)?.[1]} added`, 'Undo', () => client.call('transaction.undo', { portfolio, transaction: made.id }, { idempotencyKey: crypto.randomUUID() }).then(done, (e) => toast(e.message)));
    close();
    done?.();
  });
  const sum = initial.amount ?? (initial.quantity && initial.price ? times(initial.quantity, initial.price) : ''); // a fee may have none, and stand in its own field
  const e = form.error, trade = traded.includes(type);
  return html`<${Dialog} title=${edit ? 'Edit transaction' : 'Add a transaction'} close=${close}><form class="stack" onSubmit=${form.submit}>
    <div class="grid2"><${Field} label="Type" name="type" error=${e}><select id="f-type" name="type" value=${type} onChange=${(/** @type {any} */ ev) => setType(ev.target.value)}>${types.map(([k, text]) => html`<option key=${k} value=${k}>${text}</option>`)}</select><//>
      ${symbolless.includes(type) ? html`<span></span>` : html`<div class="field"><${SymbolField} value=${initial.symbol} error=${e} onPick=${picked} /></div>`}</div>
    ${trade ? html`<div class="grid2"><${Field} label="Quantity" name="quantity" inputmode="decimal" required defaultValue=${initial.quantity} error=${e} />
        <${Field} label="Price" name="price" error=${e}><input id="f-price" name="price" ref=${price} inputmode="decimal" required=${['buy', 'sell'].includes(type) && !initial.amount} placeholder=${initial.amount ? `${initial.amount} in all` : undefined} defaultValue=${initial.price} aria-invalid=${e?.field === 'price' ? 'true' : undefined} /><//></div>`
      : html`<${Field} label="Amount" name="amount" inputmode="decimal" required=${!edit || !!sum} defaultValue=${sum} error=${e} />`}
    <div class="grid2"><${Field} label="Currency" name="currency" error=${e}><input id="f-currency" name="currency" ref=${currency} required pattern="[A-Za-z]{3}" maxlength="3" defaultValue=${initial.currency ?? summary.value?.base_currency ?? 'USD'} /><//>
      <${Field} label="Date and time" name="executed_at" type="datetime-local" required defaultValue=${local(initial.executed_at)} error=${e} /></div>
    <div class="grid2"><${Field} label="Fee" name="fee" inputmode="decimal" placeholder="0" defaultValue=${initial.fee === '0' ? '' : initial.fee} error=${e} /><${Field} label="Tax" name="tax" inputmode="decimal" placeholder="0" defaultValue=${initial.tax === '0' ? '' : initial.tax} error=${e} /></div>
    <div class="grid2"><${Field} label="Account" name="account" error=${e}><select id="f-account" name="account">${accounts.map((a) => html`<option key=${a.id} value=${a.id} selected=${a.id === initial.account}>${a.name}</option>`)}</select><//>
      <${Field} label="Note" name="note" maxlength="2000" defaultValue=${initial.note} error=${e} /></div>
    <${Trouble} error=${e} fields=${['symbol', 'quantity', 'price', 'amount', 'currency', 'executed_at', 'fee', 'tax', 'note', 'account', 'type']} />
    <div class="foot">${remove && html`<button type="button" class="btn danger" onClick=${remove}>Delete</button><span class="grow"></span>`}<button type="button" class="btn" onClick=${close}>Cancel</button><button class="btn primary" disabled=${form.busy}>${edit ? 'Save' : 'Add'}</button></div></form><//>`;
}
