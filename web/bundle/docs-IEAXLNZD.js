import{b as s,e as t}from"./chunk-INZFPB5J.js";var e=o=>t`<pre tabindex="0"><code>${o}</code></pre>`;function a(){return s(()=>{document.title="Documentation \xB7 Rosetree"},[]),t`<div class="pagehead"><h1>Documentation</h1><a class="btn slim" href="/openapi.yaml" download>openapi.yaml</a><a class="btn slim" href="/asyncapi.yaml" download>asyncapi.yaml</a><a class="btn slim" href="/rosetree.js" download>rosetree.js</a></div>
  <article class="card pad prose">
    <p>Rosetree is one HTTP API and one WebSocket. What HTTP can do, the socket's <code>call</code> can do too, under the operation's name. Money, prices and quantities are decimal strings, never floats; what is not known is <code>null</code>, never 0.</p>
    <h2>With the client library</h2>
    <p><a href="/rosetree.js" download>rosetree.js</a> is an ES module without dependencies, with <a href="/rosetree.d.ts" download>types</a>. These pages use it and nothing else.</p>
    ${e(`import { Rosetree } from '/rosetree.js';

const client = new Rosetree('/ws').connect();
client.on('state', (s) => console.log(s));      // connecting live stalled waiting suspended ended
client.on('ended', (e) => console.log(e.reason, e.by, e.at));

for await (const quotes of client.prices(['AAPL', 'BTC-USD'], { maxHz: 4 }))
  for (const q of quotes) console.log(q.s, q.p);`)}
    ${e(`const portfolio = client.portfolio(id);          // holdings and totals, always whole
portfolio.on('valuation', () => show(portfolio.holdings, portfolio.totals));
await client.call('transaction.add', { portfolio: id, type: 'buy', symbol: 'AAPL', quantity: '10', price: '189.12',
  currency: 'USD', executed_at: new Date().toISOString() }, { idempotencyKey: crypto.randomUUID() });`)}
    <h2>Without it</h2>
    <p>Log in once, and keep the token. Programs ask for <code>"transport":"bearer"</code>; browsers get a cookie that no script can read.</p>
    ${e(`curl -s $URL/api/auth/login -H 'Content-Type: application/json' \\
  -d '{"email":"\u2026","password":"\u2026","transport":"bearer"}'
curl -s $URL/api/portfolios -H "Authorization: Bearer $TOKEN"`)}
    <h2>The socket</h2>
    <p><code>GET /ws</code>, subprotocol <code>rosetree.v1</code>. The credential is the <code>Authorization</code> header, or the cookie (then the origin must be allowed), or the subprotocol entry <code>rosetree.ticket.TICKET</code> with a ticket of <code>POST /api/auth/ticket</code>. Never the URL.</p>
    ${e(`{"id":1,"type":"subscribe","channel":"prices","symbols":["AAPL"],"max_hz":10}
{"id":2,"type":"subscribe","channel":"portfolio","portfolio":"<id>","since":41}
{"id":3,"type":"call","method":"transaction.add","params":{\u2026},"idempotency_key":"\u2026"}
{"type":"suspend"}   {"type":"resume"}   {"id":4,"type":"ping"}`)}
    ${e(`{"type":"welcome","protocol":"rosetree.v1","heartbeat_ms":20000,\u2026}
{"type":"prices","snapshot":true,"updates":[{"s":"AAPL","p":"189.12","t":1790000000123,"n":57}]}
{"type":"portfolio","portfolio":"<id>","version":42,"snapshot":true,"holdings":[\u2026],"totals":{\u2026}}
{"type":"valuation","portfolio":"<id>","version":42,"holdings":[{"symbol":"AAPL","price":"\u2026","value":"\u2026"}],"totals":{\u2026}}
{"type":"bye","code":4500,"reason":"session_revoked","by":"admin","at":"\u2026"}`)}
    <ul><li>Order: the acknowledgement, the snapshot, then updates.</li><li>Prices: the latest wins. A slow client gets fewer updates, never old ones.</li><li>Portfolio: a client that shows version N has everything up to N. With <code>since</code> at the current version no snapshot is sent.</li><li>A write that was acknowledged is durable; sent twice with one key it happens once.</li></ul>
    <h2>Close codes</h2>
    <p>4000 to 4499: connect again. 4500 to 4999: do not. Unknown codes follow the same rule.</p>
    <div class="scroll" tabindex="0"><table><thead><tr><th scope="col">Code</th><th scope="col">Reason</th></tr></thead><tbody>
      ${[["1012, 4000","restart, drain: connect again after retry_ms"],["1013","unavailable"],["4001","slow_consumer"],["4002","heartbeat_timeout"],["4003","credentials_renewed_elsewhere: connect once"],["4004","auth_path_switched"],["4029","rate_limited"],["4500","session_revoked"],["4501","session_expired"],["4502","signed_out"],["4503","locked_down, forbidden"],["4504","replaced"],["4505","too_many_connections"],["4510","protocol_error"]].map(([o,n])=>t`<tr key=${o}><td class="nowrap"><code>${o}</code></td><td>${n}</td></tr>`)}</tbody></table></div>
    <h2>Errors</h2>
    <p>HTTP answers <code>application/problem+json</code> with a stable <code>code</code>, and <code>field</code> where one is at fault; the socket's <code>error</code> has the same codes. Unknown fields in a request are an error. What belongs to another user is <code>not_found</code>.</p>
  </article>`}export{a as default};
