import{A as a,B as d,G as p,O as f,W as $,a as u,b as m,e as o,i as s}from"./chunk-INZFPB5J.js";function w(){let t=navigator.userAgent,e=/Android|iPhone|iPad|Windows|Mac OS X|CrOS|Linux/.exec(t)?.[0].replace("Mac OS X","macOS")??"unknown";return{name:`${/Edg|Firefox|OPR|Chrome|Safari/.exec(t)?.[0].replace("Edg","Edge").replace("OPR","Opera")??"Browser"} on ${e}`,platform:"web"}}var g=document.querySelector("link[rel=icon]")?.href,h="M0 118C40 112 60 92 98 96s52 26 92 10 44-52 86-46 50 34 92 20 40-46 84-42 46 22 88 4 60-26 82-30";function C({done:t}){let[e,n]=u(!1),r=p(async({email:i,password:c,display_name:l})=>{let b=e?await s("/api/auth/register",{email:i,password:c,...l&&{display_name:l}}):await s("/api/auth/login",{email:i,password:c,device:w()});f(b),$(),t()});return m(()=>{document.title="Log in \xB7 Rosetree"},[]),o`<div class="gate">
    <aside class="art" aria-label="Rosetree"><a class="brand" href="/status"><img src=${g} alt="" />rosetree</a>
      <div><p class="claim">What you own, and what it is worth this second.</p><p>Live prices, exact figures, and every device signed in at a glance: end one, and it is gone before you look up.</p></div>
      <svg viewBox="0 0 530 140" preserveAspectRatio="none" aria-hidden="true"><path d=${`${h}V140H0z`} fill="#fff" opacity=".12" /><path d=${h} fill="none" stroke="#fff" stroke-width="2.5" vector-effect="non-scaling-stroke" /></svg>
    </aside>
    <main><form onSubmit=${r.submit} key=${String(e)}>
      <p class="brand"><img src=${g} alt="" />rosetree</p>
      <h1>${e?"Create an account":"Log in"}</h1>
      ${e&&o`<${a} label="Name" name="display_name" autocomplete="name" maxlength="80" error=${r.error} />`}
      <${a} label="E-mail" name="email" type="email" autocomplete="username" required autofocus error=${r.error} />
      <${a} label="Password" name="password" type="password" autocomplete=${e?"new-password":"current-password"} required minlength=${e?8:void 0} hint=${e?"At least 8 characters; a sentence is best.":""} error=${r.error} />
      <${d} error=${r.error} fields=${["email","password","display_name"]} />
      <button class="btn primary" disabled=${r.busy}>${r.busy?"One moment \u2026":e?"Create account":"Log in"}</button>
      <button type="button" class="btn quiet" onClick=${()=>n(!e)}>${e?"I have an account":"Create an account"}</button>
      <p class="small soft"><a href="/status">Status of this server</a></p>
    </form></main></div>`}export{C as Login};
