import{A as n,B as m,D as r,F as h,G as $,J as i,b as d,e as o,i as c,k as p,l as s,m as t,s as u}from"./chunk-INZFPB5J.js";var v=Intl.supportedValuesOf?.("timeZone")??[],w=[["","As the browser"],["en-US","1,234.56"],["de-DE","1.234,56"],["fr-FR","1 234,56"],["de-CH","1\u2019234.56"],["en-IN","1,23,456.78"]];function g(){d(()=>{document.title="Settings \xB7 Rosetree"},[]);let a=p.value;return o`<div class="pagehead"><h1>Settings</h1></div><div class="two">
    <section class="card" aria-labelledby="look"><header><h2 id="look">Appearance</h2></header><div class="pad stack">
      <div class="field"><span>Theme</span><${r} label="Theme" value=${a.theme} options=${[["auto","As the system"],["light","Light"],["dark","Dark"]]} onChange=${e=>s({theme:e})} /></div>
      <div class="field"><span>Gain and loss</span><${r} label="Palette" value=${a.palette} options=${[["green-red","Green / red"],["blue-orange","Blue / orange"],["red-up","Red / green"]]} onChange=${e=>s({palette:e})} />
        <p class="row"><span class="delta up"><i>▲</i>${t("1234.5","USD",!0)}</span><span class="delta down"><i>▼</i>${t("-321.09","USD",!0)}</span></p></div>
      <div class="field"><span>Density</span><${r} label="Density" value=${a.density} options=${[["comfortable","Comfortable"],["compact","Compact"]]} onChange=${e=>s({density:e})} /></div>
      <label class="check"><input type="checkbox" checked=${a.hide} onChange=${e=>s({hide:e.target.checked})} />Hide amounts</label></div></section>
    <section class="card" aria-labelledby="region"><header><h2 id="region">Numbers and time</h2></header><div class="pad stack">
      <div class="field"><label for="locale">Number format</label><select id="locale" value=${a.locale} onChange=${e=>s({locale:e.target.value})}>${w.map(([e,l])=>o`<option key=${e} value=${e}>${l}</option>`)}</select></div>
      <div class="field"><label for="zone">Time zone</label><select id="zone" value=${a.timeZone} onChange=${e=>s({timeZone:e.target.value})}><option value="">As the browser</option>${v.map(e=>o`<option key=${e} value=${e}>${e.replace(/_/g," ")}</option>`)}</select></div>
      <p class="soft">Now: ${u(Date.now())} · ${t("1234567.89","USD")}</p></div></section>
    ${i.value&&o`<${f} />`}</div>`}function f(){let a=$(async({current:e,new:l},b)=>{await c("/api/auth/password",{current:e,new:l}),b.reset(),h("Password changed. Your other sessions were signed out.")});return o`<section class="card" aria-labelledby="password"><header><h2 id="password">Password</h2></header><form class="pad stack" onSubmit=${a.submit}>
    <input type="text" autocomplete="username" value=${i.value?.email} hidden readonly />
    <${n} label="Current password" name="current" type="password" autocomplete="current-password" required error=${a.error} />
    <${n} label="New password" name="new" type="password" autocomplete="new-password" required minlength="8" hint="All your other sessions will be signed out." error=${a.error} />
    <${m} error=${a.error} fields=${["current","new"]} /><div class="row"><button class="btn primary" disabled=${a.busy}>Change password</button></div></form></section>`}export{g as default};
