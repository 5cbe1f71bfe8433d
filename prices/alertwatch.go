package prices

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"
)

// alertWatch checks all users' alerts on the tick, in memory, on every server. What a tick reaches is claimed in
// PostgreSQL by the alert's revision, so that of several servers one makes it fire, whoever of them dies; and an alert
// that was edited meanwhile is not the one that was reached.
//
// mu is taken after Book.writing and before Book.mu.
type alertWatch struct {
	// fixed
	book    *Book
	store   store
	metrics *alertMetrics
	log     *slog.Logger
	wake    chan struct{} // has one: there is something to do

	mu      sync.Mutex
	ladders map[Symbol]*ladder
	slots   []rung            // by the symbol's slot in the book
	where   map[string]Symbol // of each alert by id
	due     []due             // reached, and not claimed yet
	looks   map[ownedID]bool  // alerts to be read again
}

// ownedID is a row of a user.
type ownedID struct{ user, id string }

func newAlertWatch(book *Book, st store, m *alertMetrics, log *slog.Logger) *alertWatch {
	return &alertWatch{book: book, store: st, metrics: m, log: log, wake: make(chan struct{}, 1), ladders: map[Symbol]*ladder{}, where: map[string]Symbol{}, looks: map[ownedID]bool{}}
}

// hear is a listener of the book: it compares each quote with two numbers, and allocates only where one is reached.
func (w *alertWatch) hear(news []Quote) {
	w.mu.Lock()
	before := len(w.due)
	for i := range news {
		q := &news[i]
		if int(q.slot) >= len(w.slots) {
			continue
		}
		if r := &w.slots[q.slot]; r.ladder != nil && !r.passes(q) {
			w.due = r.ladder.see(q, w.book.Instrument, w.due)
			r.learn(q)
		}
	}
	reached := len(w.due) > before
	w.mu.Unlock()
	if reached {
		w.rouse()
	}
}

func (w *alertWatch) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// look notes that an alert was changed.
func (w *alertWatch) look(user, id string) {
	w.mu.Lock()
	w.looks[ownedID{user, id}] = true
	w.mu.Unlock()
	w.rouse()
}

// put brings alerts as they are stored into memory. Those whose condition holds are reached at once.
func (w *alertWatch) put(alerts []watched) {
	for i := range alerts {
		a := &alerts[i]
		q, priced := w.book.Quote(a.symbol)
		inst, _ := w.book.Instrument(a.symbol)
		w.mu.Lock()
		l := w.ladders[a.symbol]
		if l == nil {
			l = &ladder{up: steps{rising: true}, all: map[string]*watched{}}
			w.ladders[a.symbol] = l
		}
		if known := l.all[a.id]; known == nil || known.revision <= a.revision {
			w.where[a.id] = a.symbol
			l.put(a, inst.Splits)
			w.place(a.symbol, l)
		}
		if priced {
			w.due = l.see(&q, w.book.Instrument, w.due)
			w.place(a.symbol, l)
		}
		w.mu.Unlock()
	}
	w.count()
	w.rouse()
}

// place puts l where ticks of symbol find it, after each change of l; mu is held. A symbol that the book does not know yet has no ticks: restate
// finds it a place once it does.
func (w *alertWatch) place(symbol Symbol, l *ladder) {
	slot, known := w.book.slot(symbol)
	if !known {
		return
	}
	for len(w.slots) <= int(slot) {
		w.slots = append(w.slots, rung{})
	}
	w.slots[slot] = rung{ladder: l}
}

func (w *alertWatch) drop(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	symbol := w.where[id]
	delete(w.where, id)
	if l := w.ladders[symbol]; l != nil {
		l.drop(id)
		if len(l.all) == 0 {
			delete(w.ladders, symbol)
			l = nil
		}
		w.place(symbol, l)
	}
}

// restate makes the levels of every symbol anew: what an instrument is, or its splits, may have changed.
func (w *alertWatch) restate() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for symbol, l := range w.ladders {
		i, _ := w.book.Instrument(symbol)
		l.build(l.previous, l.shares, i.Splits)
		w.place(symbol, l)
	}
}

func (w *alertWatch) count() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.metrics.watched.Set(float64(len(w.where)))
}

const (
	alertPoll    = 5 * time.Second
	alertOverlap = time.Minute // a change's time is that of its statement, and its transaction may commit later
	perClaim     = 500
)

// run keeps memory to what is stored and claims what is reached, until ctx ends. tell is called once for each firing
// that this server made.
func (w *alertWatch) run(ctx context.Context, tell func([]ownedID)) error {
	defer w.book.Listen(w.hear)()
	var since time.Time // zero: everything
	poll := time.NewTicker(alertPoll)
	defer poll.Stop()
	failing := false
	for {
		err := w.work(ctx, tell)
		if err == nil && (since.IsZero() || w.isDue(poll)) {
			since, err = w.refresh(ctx, since)
		}
		if (err != nil) != failing && ctx.Err() == nil {
			failing = err != nil
			w.log.Warn("prices: alerts", "working", !failing, "err", err)
		}
		if err != nil && sleep(ctx, 500*time.Millisecond) == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		case <-poll.C:
			if since, err = w.refresh(ctx, since); err != nil {
				w.log.Debug("prices: alerts were not read again", "err", err)
			}
		}
	}
}

func (w *alertWatch) isDue(poll *time.Ticker) bool {
	select {
	case <-poll.C:
		return true
	default:
		return false
	}
}

// refresh reads what changed since; its answer is from when on the next one is to read.
func (w *alertWatch) refresh(ctx context.Context, since time.Time) (time.Time, error) {
	alerts, now, err := w.store.alertsSince(ctx, since)
	if err != nil {
		return since, err
	}
	w.put(alerts)
	return now.Add(-alertOverlap), nil
}

// work claims what is reached and reads what was named as changed.
func (w *alertWatch) work(ctx context.Context, tell func([]ownedID)) error {
	for {
		w.mu.Lock()
		part := slices.Clone(w.due[:min(perClaim, len(w.due))])
		w.mu.Unlock()
		if len(part) == 0 {
			return w.readAgain(ctx)
		}
		// In one order on all servers, so that two of them do not wait for each other.
		slices.SortFunc(part, func(a, b due) int { return strings.Compare(a.id, b.id) })
		fired, err := w.store.claim(ctx, part)
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.due = append([]due(nil), w.due[len(part):]...)
		for _, d := range part {
			w.looks[ownedID{d.user, d.id}] = true
		}
		w.mu.Unlock()
		w.metrics.fired.Add(float64(len(fired)))
		if len(fired) > 0 {
			tell(fired)
		}
	}
}

func (w *alertWatch) readAgain(ctx context.Context) error {
	w.mu.Lock()
	ids := make([]ownedID, 0, len(w.looks))
	for id := range w.looks {
		ids = append(ids, id)
	}
	w.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	alerts, err := w.store.alertsByID(ctx, ids)
	if err != nil {
		return err
	}
	w.mu.Lock()
	for _, id := range ids {
		delete(w.looks, id)
	}
	w.mu.Unlock()
	there := map[string]bool{}
	for _, a := range alerts {
		there[a.id] = true
	}
	for _, id := range ids {
		if !there[id.id] {
			w.drop(id.id)
		}
	}
	w.put(alerts)
	return nil
}

// shown is a's threshold in today's shares.
func (w *alertWatch) shown(symbol Symbol, kind AlertKind, threshold decimal.Decimal, sharesAt time.Time) decimal.Decimal {
	a := watched{kind: kind, threshold: threshold, shares: dayOf(sharesAt)}
	i, _ := w.book.Instrument(symbol)
	return a.today(w.book.today(symbol), i.Splits)
}

// slot is the place of s among the book's symbols. It stays.
func (b *Book) slot(s Symbol) (uint32, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e := b.entries[s]
	if e == nil {
		return 0, false
	}
	return e.slot, true
}

// today is the date at the market of s.
func (b *Book) today(s Symbol) day {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if e := b.entries[s]; e != nil {
		return dayOf(time.Now().In(e.calendar.loc))
	}
	return dayOf(time.Now().UTC())
}
