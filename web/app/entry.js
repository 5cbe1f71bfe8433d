// A transaction as one line: "buy 10 AAPL @ 189.12 fee 1 on 2026-11-20", "dividend 12.40 AAPL", "deposit 500 EUR".

import { decimal } from './decimal.js';

const verbs = /** @type {Record<string, string>} */ ({ buy: 'buy', bought: 'buy', b: 'buy', sell: 'sell', sold: 'sell', s: 'sell', dividend: 'dividend', div: 'dividend', interest: 'interest', fee: 'fee', tax: 'tax', deposit: 'deposit', withdraw: 'withdrawal', withdrawal: 'withdrawal', reward: 'reward' });
const amounts = ['dividend', 'interest', 'fee', 'tax', 'deposit', 'withdrawal'];
const NUMBER = /^\d+(?:\.\d+)?$/;

/**
 * Reads one line.
 * @param {string} line @param {Date} now
 * @returns {{entry?:Record<string, any>, wrong?:string}} what it says, or what is wrong with it
 */
export function parse(line, now = new Date()) {
  const words = line.trim().split(/\s+/);
  const type = verbs[words.shift()?.toLowerCase() ?? ''];
  if (!type) return { wrong: 'Begin with buy, sell, dividend, deposit, withdrawal, interest, fee or tax.' };
  /** @type {Record<string, any>} */ const entry = { type, executed_at: now.toISOString() };
  let number = '';
  while (words.length) {
    const w = words.shift() ?? '', next = () => decimal(words.shift());
    if (w === '@' || w === 'at') entry.price = next();
    else if (/^@\d/.test(w)) entry.price = decimal(w.slice(1));
    else if (w === 'fee' || w === 'tax') entry[w] = next();
    else if (w === 'on') {
      const at = day(next(), now);
      if (!at) return { wrong: 'A day is written 2026-11-20, or today, or yesterday.' };
      entry.executed_at = at;
    } else if (!number && NUMBER.test(decimal(w))) number = decimal(w);
    else if (/^[A-Za-z0-9.\-_:=^/]{1,32}$/.test(w) && !entry.symbol) entry.symbol = w.toUpperCase();
    else return { wrong: `“${w}” is not understood.` };
  }
  if (!number) return { wrong: amounts.includes(type) ? 'How much? For example: dividend 12.40 AAPL' : 'How many? For example: buy 10 AAPL @ 189.12' };
  return check(entry, number);
}

/** @param {Record<string, any>} entry @param {string} number */
function check(entry, number) {
  if (amounts.includes(entry.type)) {
    entry.amount = number;
    if (entry.type !== 'dividend' && entry.symbol) {
      if (!/^[A-Z]{3}$/.test(entry.symbol)) return { wrong: `${entry.symbol} is not a currency.` };
      entry.currency = entry.symbol;
      delete entry.symbol;
    }
  } else entry.quantity = number;
  if ((entry.quantity || entry.type === 'dividend') && !entry.symbol) return { wrong: 'Of what? Name a symbol.' };
  if (['buy', 'sell'].includes(entry.type) && !entry.price) return { wrong: 'At what price? Write it after @.' };
  for (const k of ['price', 'fee', 'tax']) if (entry[k] !== undefined && !NUMBER.test(entry[k])) return { wrong: `“${entry[k]}” is not a number.` };
  return { entry };
}

/** @param {string} word @param {Date} now */
function day(word, now) {
  const d = new Date(now);
  if (word === 'yesterday') d.setDate(d.getDate() - 1);
  else if (word !== 'today') {
    if (!/^\d{4}-\d\d-\d\d$/.test(word)) return null;
    const t = new Date(`${word}T12:00:00`);
    return Number.isNaN(t.getTime()) ? null : t.toISOString();
  }
  return d.toISOString();
}
