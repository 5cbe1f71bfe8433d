package prices

import (
	"container/heap"
	"time"

	"github.com/shopspring/decimal"
)

// ladder holds the alerts of one symbol by the price at which something happens to them: the next one upwards and the
// next one downwards stand on top of two heaps, so a tick is compared with two numbers, and one that reaches a level
// costs the logarithm of how many there are.
type ladder struct {
	up, down steps
	previous decimal.NullDecimal // what the levels were made with
	shares   day
	all      map[string]*watched // by id
	tops     [3]top              // the two tops, for the exponents that the source uses
	next     int
}

// steps are a heap: upwards the lowest level is on top, downwards the highest.
type steps struct {
	list   []*watched
	rising bool
}

func (s *steps) Len() int { return len(s.list) }
func (s *steps) Less(i, j int) bool {
	c := s.list[i].level.Cmp(s.list[j].level)
	return c < 0 && s.rising || c > 0 && !s.rising
}
func (s *steps) Swap(i, j int) {
	s.list[i], s.list[j] = s.list[j], s.list[i]
	s.list[i].place, s.list[j].place = i, j
}
func (s *steps) Push(x any) { a := x.(*watched); a.place = len(s.list); s.list = append(s.list, a) }
func (s *steps) Pop() any {
	last := len(s.list) - 1
	a := s.list[last]
	s.list[last], a.place, s.list = nil, -1, s.list[:last]
	return a
}

// top is what a price of one exponent is compared with: decimals of one exponent compare without an allocation. Rounding
// the level to the exponent, away from the price, changes no comparison.
type top struct {
	known    bool
	exponent int32
	up, down decimal.NullDecimal
}

// due is an alert that a quote has reached.
type due struct {
	watched
	threshold decimal.Decimal // in the shares of price
	price     decimal.Decimal
	at        time.Time
	source    string
}

// see adds to reached what q does. instrument is asked only where splits or the reference have moved.
func (l *ladder) see(q *Quote, instrument func(Symbol) (Instrument, bool), reached []due) []due {
	if q.shares != l.shares || !sameReference(q.Previous, l.previous) {
		i, _ := instrument(q.Symbol)
		l.build(q.Previous, q.shares, i.Splits)
	}
	t := l.top(q.Price.Exponent())
	for t.up.Valid && q.Price.Cmp(t.up.Decimal) >= 0 {
		reached = l.take(&l.up, q, instrument, reached)
		t = l.top(q.Price.Exponent())
	}
	for t.down.Valid && q.Price.Cmp(t.down.Decimal) <= 0 {
		reached = l.take(&l.down, q, instrument, reached)
		t = l.top(q.Price.Exponent())
	}
	return reached
}

func sameReference(a, b decimal.NullDecimal) bool {
	if !a.Valid || !b.Valid {
		return a.Valid == b.Valid
	}
	return a.Decimal.Exponent() == b.Decimal.Exponent() && a.Decimal.Cmp(b.Decimal) == 0 || a.Decimal.Equal(b.Decimal)
}

func (l *ladder) take(s *steps, q *Quote, instrument func(Symbol) (Instrument, bool), reached []due) []due {
	a := heap.Pop(s).(*watched)
	l.tops = [3]top{}
	i, _ := instrument(q.Symbol)
	return append(reached, due{*a, a.today(l.shares, i.Splits), q.Price, q.At, q.Source})
}

func (l *ladder) top(exponent int32) *top {
	for i := range l.tops {
		if t := &l.tops[i]; t.known && t.exponent == exponent {
			return t
		}
	}
	t := &l.tops[l.next]
	l.next = (l.next + 1) % len(l.tops)
	*t = top{known: true, exponent: exponent}
	if len(l.up.list) > 0 {
		t.up = decimal.NewNullDecimal(withExponentUp(l.up.list[0].level, exponent))
	}
	if len(l.down.list) > 0 {
		t.down = decimal.NewNullDecimal(withExponent(l.down.list[0].level, exponent))
	}
	return t
}

// withExponentUp is d with that exponent, rounded up.
func withExponentUp(d decimal.Decimal, exponent int32) decimal.Decimal {
	down := withExponent(d, exponent)
	if down.LessThan(d) {
		return down.Add(decimal.New(1, exponent))
	}
	return down
}

// today is the threshold of a in shares of a day.
func (a *watched) today(shares day, splits []Split) decimal.Decimal {
	if a.kind == AlertDayPct {
		return a.threshold
	}
	n, m := splitsBetween(splits, a.shares, shares)
	return restate(a.threshold, n, m)
}

// build makes the levels anew.
func (l *ladder) build(previous decimal.NullDecimal, shares day, splits []Split) {
	l.previous, l.shares, l.tops = previous, shares, [3]top{}
	l.up, l.down = steps{rising: true}, steps{}
	for _, a := range l.all {
		l.aim(a, splits)
		if a.place < 0 {
			continue
		}
		s := l.heapOf(a)
		a.place = len(s.list)
		s.list = append(s.list, a)
	}
	heap.Init(&l.up)
	heap.Init(&l.down)
}

// aim sets a's level; its place says afterwards whether there is one.
func (l *ladder) aim(a *watched, splits []Split) {
	ok := false
	a.level, a.rising, ok = a.aim(a.today(l.shares, splits), l.previous)
	a.place = -1
	if ok {
		a.place = 0
	}
}

func (l *ladder) heapOf(a *watched) *steps {
	if a.rising {
		return &l.up
	}
	return &l.down
}

// put adds a, or what is new of it.
func (l *ladder) put(a *watched, splits []Split) {
	l.drop(a.id)
	l.all[a.id] = a
	if l.aim(a, splits); a.place >= 0 {
		heap.Push(l.heapOf(a), a)
		l.tops = [3]top{}
	}
}

func (l *ladder) drop(id string) {
	a := l.all[id]
	if a == nil {
		return
	}
	delete(l.all, id)
	if a.place >= 0 {
		heap.Remove(l.heapOf(a), a.place)
		l.tops = [3]top{}
	}
}
