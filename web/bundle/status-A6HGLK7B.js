import{a as m,b as h}from"./chunk-LMOURVSX.js";import{G as c,L as $,a as r,b as p,e,h as d,r as l}from"./chunk-LJDGQAMP.js";function u(){let[s,o]=r(Date.now());p(()=>(document.title="Status \xB7 Rosetree",$.on("notice",()=>t.again())),[]);let t=c(()=>d("/api/notices"),[]),n=m(1e4,()=>{o(Date.now()),t.again()});return e`<div class="pagehead"><h1>Status</h1><span class="soft small">checked ${l(s,{timeStyle:"medium"})}, every ten seconds</span></div>
    <${h} of=${n} />
    ${t.data?e`<${i} id="now" title="Now" list=${t.data.now} none="No notice." />
      ${t.data.planned.length>0&&e`<${i} id="planned" title="Planned" list=${t.data.planned} />`}
      <${i} id="past" title="The last 14 days" list=${t.data.past} none="Nothing happened." />`:t.error&&e`<p class="problem">Notices cannot be read now: ${t.error.message}</p>`}`}var i=({id:s,title:o,list:t,none:n})=>e`<section class="card" aria-labelledby=${s}><header><h2 id=${s}>${o}</h2></header>
  ${t.length?e`<ul class="parts">${t.map(a=>e`<li key=${a.id}><span class=${`tag ${a.level==="critical"?"bad":a.level==="warning"?"warn":""}`}>${a.level}</span>
    <span class="grow">${a.text}<br /><span class="soft small">${l(a.from)}${a.until?` \u2013 ${l(a.until)}`:""}</span></span></li>`)}</ul>`:e`<p class="pad soft">${n}</p>`}</section>`;export{u as default};
