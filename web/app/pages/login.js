import { Field, Trouble, useForm } from '../ui.js';
import { begun } from '../live.js';
import { load } from '../portfolio.js';
import { post } from '../api.js';
import { html, useEffect, useState } from '../vendor/preact.js';

/** What this browser calls itself, as the name of the device. */
function device() {
  const ua = navigator.userAgent;
  const os = /Android|iPhone|iPad|Windows|Mac OS X|CrOS|Linux/.exec(ua)?.[0].replace('Mac OS X', 'macOS') ?? 'unknown';
  const browser = /Edg|Firefox|OPR|Chrome|Safari/.exec(ua)?.[0].replace('Edg', 'Edge').replace('OPR', 'Opera') ?? 'Browser';
  return { name: `${browser} on ${os}`, platform: 'web' };
}

const logo = document.querySelector(/** @type {'link'} */ ('link[rel=icon]'))?.href;
const curve = 'M0 118C40 112 60 92 98 96s52 26 92 10 44-52 86-46 50 34 92 20 40-46 84-42 46 22 88 4 60-26 82-30';

/** @param {{done:() => void}} p */
export function Login({ done }) {
  const [fresh, setFresh] = useState(false);
  const form = useForm(async ({ email, password, display_name }) => {
    const answer = fresh
      ? await post('/api/auth/register', { email, password, ...(display_name && { display_name }) })
      : await post('/api/auth/login', { email, password, device: device() });
    begun(answer);
    load();
    done();
  });
  useEffect(() => { document.title = 'Log in · Rosetree'; }, []);
  return html`<div class="gate">
    <aside class="art" aria-label="Rosetree"><a class="brand" href="/status"><img src=${logo} alt="" />rosetree</a>
      <div><p class="claim">What you own, and what it is worth this second.</p><p>Live prices, exact figures, and every device signed in at a glance: end one, and it is gone before you look up.</p></div>
      <svg viewBox="0 0 530 140" preserveAspectRatio="none" aria-hidden="true"><path d=${`${curve}V140H0z`} fill="#fff" opacity=".12" /><path d=${curve} fill="none" stroke="#fff" stroke-width="2.5" vector-effect="non-scaling-stroke" /></svg>
    </aside>
    <main><form onSubmit=${form.submit} key=${String(fresh)}>
      <p class="brand"><img src=${logo} alt="" />rosetree</p>
      <h1>${fresh ? 'Create an account' : 'Log in'}</h1>
      ${fresh && html`<${Field} label="Name" name="display_name" autocomplete="name" maxlength="80" error=${form.error} />`}
      <${Field} label="E-mail" name="email" type="email" autocomplete="username" required autofocus error=${form.error} />
      <${Field} label="Password" name="password" type="password" autocomplete=${fresh ? 'new-password' : 'current-password'} required minlength=${fresh ? 8 : undefined} hint=${fresh ? 'At least 8 characters; a sentence is best.' : ''} error=${form.error} />
      <${Trouble} error=${form.error} fields=${['email', 'password', 'display_name']} />
      <button class="btn primary" disabled=${form.busy}>${form.busy ? 'One moment …' : fresh ? 'Create account' : 'Log in'}</button>
      <button type="button" class="btn quiet" onClick=${() => setFresh(!fresh)}>${fresh ? 'I have an account' : 'Create an account'}</button>
      <p class="small soft"><a href="/status">Status of this server</a></p>
    </form></main></div>`;
}
