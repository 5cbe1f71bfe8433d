import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { amongMany, many } from './crowd.mjs';
import { browser, demo, modes, page, quiet, tidy } from './harness.mjs';

/** @type {Awaited<ReturnType<typeof demo>>} */ let d;
/** @type {import('playwright-core').Browser} */ let b;

before(async () => { [d, b] = await Promise.all([demo(), browser()]); });
afterEach((t) => tidy(b, 'many', t));
after(async () => {
  await b?.close();
  await d?.stop();
  d?.remove();
});

// How long each step takes is measure.mjs's to say.
test(`among ${many} sessions the console finds one, turns pages, and ends all of a user`, async () => {
  const p = await page(await b.newContext(modes.light));
  await amongMany(p, d);
  assert.ok((await p.evaluate(() => document.querySelectorAll('*').length)) < 5000, 'the page holds what is on screen, not all there is');
  quiet(p);
});
