'use strict';
// A legacy token as the program before this one made it, so that many sessions need no password each.
const { createHmac, randomUUID } = require('node:crypto');

const part = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');

async function legacyToken(context) {
  const now = Math.floor(Date.now() / 1000);
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({
    sub: context.vars.userId, session_id: randomUUID(), role: 'authenticated', aud: 'authenticated', iss: 'rosetree', iat: now, exp: now + 3600,
  })}`;
  context.vars.legacy = `${signed}.${createHmac('sha256', process.env.LEGACY_JWT_SECRET).update(signed).digest('base64url')}`;
}

// Half of the virtual users come with a legacy token, half with a session.
let turn = 0;
async function eitherToken(context, events) {
  turn += 1;
  if (turn % 2) {
    await legacyToken(context);
    context.vars.either = context.vars.legacy;
    events.emit('counter', 'users.legacy', 1);
  } else {
    context.vars.either = context.vars.session;
    events.emit('counter', 'users.session', 1);
  }
}

module.exports = { legacyToken, eitherToken };
