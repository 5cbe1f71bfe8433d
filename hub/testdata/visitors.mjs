// Clients of our own library for TestRollingDeployLosesNoVersion: node visitors.mjs URL COUNT. For each line on standard
// input it prints which version each of them shows, how often it was welcomed, and what it missed.
import { createInterface } from 'node:readline';
import { Rosetree } from '../../web/app/rosetree.js';

const [url, count] = process.argv.slice(2);

const visitors = Array.from({ length: Number(count) }, () => {
  const visitor = { version: 0, welcomes: 0, missed: [] };
  const client = new Rosetree(url, { getToken: () => 'ana', backoff: { min: 20, max: 200 } });
  const portfolio = client.portfolio('p');
  const show = (m, follows) => {
    if (!follows) visitor.missed.push(`${m.version} (snapshot ${!!m.snapshot}) after ${visitor.version}`);
    visitor.version = m.version;
  };
  for (const whole of ['snapshot', 'resync']) portfolio.on(whole, (m) => show(m, m.version >= visitor.version));
  portfolio.on('change', (m) => show(m, m.version === visitor.version + 1));
  client.on('welcome', () => visitor.welcomes++);
  client.connect();
  return visitor;
});

createInterface({ input: process.stdin })
  .on('line', () => console.log(JSON.stringify(visitors)))
  .on('close', () => process.exit());
