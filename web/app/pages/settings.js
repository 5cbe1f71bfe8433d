import { Field, Segments, Trouble, toast, useForm } from '../ui.js';
import { post } from '../api.js';
import { me } from '../live.js';
import { money, time } from '../format.js';
import { set, settings } from '../settings.js';
import { html, useEffect } from '../vendor/preact.js';

const zones = /** @type {any} */ (Intl).supportedValuesOf?.('timeZone') ?? [];
const locales = /** @type {[string, string][]} */ ([['', 'As the browser'], ['en-US', '1,234.56'], ['de-DE', '1.234,56'], ['fr-FR', '1 234,56'], ['de-CH', '1’234.56'], ['en-IN', '1,23,456.78']]);

export default function Settings() {
  useEffect(() => { document.title = 'Settings · Rosetree'; }, []);
  const s = settings.value;
  return html`<div class="pagehead"><h1>Settings</h1></div><div class="two">
    <section class="card" aria-labelledby="look"><header><h2 id="look">Appearance</h2></header><div class="pad stack">
      <div class="field"><span>Theme</span><${Segments} label="Theme" value=${s.theme} options=${[['auto', 'As the system'], ['light', 'Light'], ['dark', 'Dark']]} onChange=${(/** @type {any} */ theme) => set({ theme })} /></div>
      <div class="field"><span>Gain and loss</span><${Segments} label="Palette" value=${s.palette} options=${[['green-red', 'Green / red'], ['blue-orange', 'Blue / orange'], ['red-up', 'Red / green']]} onChange=${(/** @type {any} */ palette) => set({ palette })} />
        <p class="row"><span class="delta up"><i>▲</i>${money('1234.5', 'USD', true)}</span><span class="delta down"><i>▼</i>${money('-321.09', 'USD', true)}</span></p></div>
      <div class="field"><span>Density</span><${Segments} label="Density" value=${s.density} options=${[['comfortable', 'Comfortable'], ['compact', 'Compact']]} onChange=${(/** @type {any} */ density) => set({ density })} /></div>
      <label class="check"><input type="checkbox" checked=${s.hide} onChange=${(/** @type {any} */ e) => set({ hide: e.target.checked })} />Hide amounts</label></div></section>
    <section class="card" aria-labelledby="region"><header><h2 id="region">Numbers and time</h2></header><div class="pad stack">
      <div class="field"><label for="locale">Number format</label><select id="locale" value=${s.locale} onChange=${(/** @type {any} */ e) => set({ locale: e.target.value })}>${locales.map(([v, text]) => html`<option key=${v} value=${v}>${text}</option>`)}</select></div>
      <div class="field"><label for="zone">Time zone</label><select id="zone" value=${s.timeZone} onChange=${(/** @type {any} */ e) => set({ timeZone: e.target.value })}><option value="">As the browser</option>${zones.map((/** @type {string} */ z) => html`<option key=${z} value=${z}>${z.replace(/_/g, ' ')}</option>`)}</select></div>
      <p class="soft">Now: ${time(Date.now())} · ${money('1234567.89', 'USD')}</p></div></section>
    ${me.value && html`<${Password} />`}</div>`;
}

function Password() {
  const form = useForm(async ({ current, new: fresh }, el) => {
    await post('/api/auth/password', { current, new: fresh });
    el.reset();
    toast('Password changed. Your other sessions were signed out.');
  });
  return html`<section class="card" aria-labelledby="password"><header><h2 id="password">Password</h2></header><form class="pad stack" onSubmit=${form.submit}>
    <input type="text" autocomplete="username" value=${me.value?.email} hidden readonly />
    <${Field} label="Current password" name="current" type="password" autocomplete="current-password" required error=${form.error} />
    <${Field} label="New password" name="new" type="password" autocomplete="new-password" required minlength="8" hint="All your other sessions will be signed out." error=${form.error} />
    <${Trouble} error=${form.error} fields=${['current', 'new']} /><div class="row"><button class="btn primary" disabled=${form.busy}>Change password</button></div></form></section>`;
}
