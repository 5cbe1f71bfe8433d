package ledger

import (
	"iter"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"rosetree/prices"
)

// Instruments answers what a symbol stands for; the zero Instrument where nobody knows.
type Instruments func(prices.Symbol) prices.Instrument

// Ledger is a portfolio's transactions by chain. It is not safe for concurrent use.
type Ledger struct {
	Accounts map[string]Account
	rows     map[string]*Transaction // by id
	chains   map[prices.Symbol][]*Transaction
	accounts map[string][]*Transaction
}

// New is a ledger of rows, in any order.
func New(accounts []Account, rows []*Transaction) *Ledger {
	l := &Ledger{Accounts: map[string]Account{}, rows: make(map[string]*Transaction, len(rows)),
		chains: map[prices.Symbol][]*Transaction{}, accounts: map[string][]*Transaction{}}
	for _, a := range accounts {
		l.Accounts[a.ID] = a
	}
	for _, t := range rows {
		l.Put(t)
	}
	return l
}

// Put adds t, or replaces the row of its id. The ledger keeps t: it must not be changed after.
func (l *Ledger) Put(t *Transaction) (touched []prices.Symbol) {
	touched = l.Remove(t.ID)
	l.rows[t.ID] = t
	l.accounts[t.Account] = append(l.accounts[t.Account], t)
	if t.Symbol != "" {
		l.chains[t.Symbol] = append(l.chains[t.Symbol], t)
		if !slices.Contains(touched, t.Symbol) {
			touched = append(touched, t.Symbol)
		}
	}
	return touched
}

// Remove takes the row of an id out.
func (l *Ledger) Remove(id string) (touched []prices.Symbol) {
	t := l.rows[id]
	if t == nil {
		return nil
	}
	delete(l.rows, id)
	same := func(o *Transaction) bool { return o == t }
	l.accounts[t.Account] = slices.DeleteFunc(l.accounts[t.Account], same)
	if t.Symbol == "" {
		return nil
	}
	if l.chains[t.Symbol] = slices.DeleteFunc(l.chains[t.Symbol], same); len(l.chains[t.Symbol]) == 0 {
		delete(l.chains, t.Symbol)
	}
	return []prices.Symbol{t.Symbol}
}

// Row is the transaction of an id, or nil.
func (l *Ledger) Row(id string) *Transaction { return l.rows[id] }

// All are the rows in no order.
func (l *Ledger) All() iter.Seq[*Transaction] { return maps.Values(l.rows) }

// Rows are all transactions, oldest first.
func (l *Ledger) Rows() []*Transaction { return slices.SortedFunc(maps.Values(l.rows), order) }

// Chain is all rows of a symbol, in no order.
func (l *Ledger) Chain(s prices.Symbol) []*Transaction { return l.chains[s] }

// Symbols are all that ever occurred.
func (l *Ledger) Symbols() []prices.Symbol { return slices.Sorted(maps.Keys(l.chains)) }

// State is a ledger replayed.
type State struct {
	Positions map[prices.Symbol][]*Position // in the order of the accounts' first rows
	Money     map[string]*Money             // by account
}

// Replay makes the whole state.
func (l *Ledger) Replay(inst Instruments, rates Rates, opts Options) *State {
	s := &State{Positions: make(map[prices.Symbol][]*Position, len(l.chains)), Money: map[string]*Money{}}
	for symbol := range l.chains {
		s.Positions[symbol] = l.ReplaySymbol(symbol, inst, rates, opts)
	}
	l.ReplayMoney(s, inst, rates, opts)
	return s
}

// ReplaySymbol makes the positions of one symbol: nothing else depends on its rows (I9).
func (l *Ledger) ReplaySymbol(symbol prices.Symbol, inst Instruments, rates Rates, opts Options) []*Position {
	return replay(symbol, l.chains[symbol], inst(symbol), l.Accounts, rates, opts)
}

// ReplayMoney makes s.Money.
func (l *Ledger) ReplayMoney(s *State, inst Instruments, rates Rates, opts Options) {
	multiplier := func(t *Transaction) decimal.Decimal {
		if t.Symbol != "" {
			if m := inst(t.Symbol).Multiplier; !m.IsZero() {
				return m
			}
		}
		return decimal.NewFromInt(1)
	}
	for id, rows := range l.accounts {
		account := l.Accounts[id]
		account.ID = id
		s.Money[id] = replayMoney(account, rows, multiplier, rates, opts)
	}
}

// Update replays only the chains that a write touched; the result equals a full Replay (I3).
func (l *Ledger) Update(s *State, touched []prices.Symbol, inst Instruments, rates Rates, opts Options) {
	for _, symbol := range touched {
		if positions := l.ReplaySymbol(symbol, inst, rates, opts); len(positions) > 0 {
			s.Positions[symbol] = positions
		} else {
			delete(s.Positions, symbol)
		}
	}
	l.ReplayMoney(s, inst, rates, opts)
}
