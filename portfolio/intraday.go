package portfolio

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"rosetree/auth"
	"rosetree/portfolio/returns"
	"rosetree/prices"
)

// intraday puts the curve since 00:00 UTC in the place of today's two points: holdings as they were at the
// end of each step, at their last prices by then. The last point is now, as the totals say it.
func (s *Service) intraday(ctx context.Context, p *pastOf, points int) error {
	v, midnight := p.view, p.view.at.Truncate(oneDay)
	candles, step := "5m", 5*time.Minute
	if points > int(oneDay/time.Minute) {
		candles, step = "1m", time.Minute
	}
	closes, err := s.allCloses(ctx, p.live, v, midnight, midnight)
	if err != nil {
		return err
	}
	insts := maps.Clone(v.insts)
	if p.inst.Symbol != "" {
		insts[p.inst.Symbol] = p.inst
	}
	pairs := wanted(v.base, p.currencies())
	today, err := s.candlesOf(ctx, p.live, candles, midnight, insts, pairs)
	if err != nil {
		return err
	}
	c := newCurve(midnight.Add(-step), step, int(v.at.Sub(midnight)/step)+2)
	c.pairs = map[string]series{}
	for _, pair := range pairs {
		c.pairs[pair] = today[prices.Symbol(pair)]
	}
	for symbol, list := range closes {
		if _, shared := s.market.Instrument(symbol); shared { // a price of one's own is the whole day's
			closes[symbol] = list.then(midnight, today[symbol])
		}
	}
	c.fill(v, closes)
	c.value[len(c.value)-1] = v.now
	p.curve, p.bench = c, p.bench.then(midnight, today[p.inst.Symbol])
	return nil
}

// then is s until a day began, and what came on it.
func (s series) then(midnight time.Time, today series) series {
	i, _ := slices.BinarySearchFunc(s, midnight, func(p dayPrice, t time.Time) int { return p.day.Compare(t) })
	return slices.Concat(s[:i], today)
}

// currencies are all in which the scope has money, and the benchmark's.
func (p *pastOf) currencies() []string {
	set := map[string]bool{}
	for _, inst := range p.view.insts {
		set[inst.Currency] = true
	}
	for _, t := range p.view.rows {
		set[t.Currency] = true
	}
	set[p.inst.Currency] = true
	delete(set, "")
	return slices.Sorted(maps.Keys(set))
}

// candlesOf reads the closes of the day's candles, of all symbols in one round trip. The minute under way is
// not among them: the last point of the curve knows better.
func (s *Service) candlesOf(ctx context.Context, owner *live, span string, from time.Time, insts map[prices.Symbol]prices.Instrument, pairs []string) (map[prices.Symbol]series, error) {
	symbols := pairs
	for symbol := range insts {
		symbols = append(symbols, string(symbol))
	}
	out := map[prices.Symbol]series{}
	var b pgx.Batch
	b.Queue(`SELECT symbol, start, close FROM app.candles WHERE span = $1 AND symbol = ANY ($2) AND start >= $3 ORDER BY symbol, start`, span, symbols, from).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var symbol prices.Symbol
			var start time.Time
			var last numeric
			if err := rows.Scan(&symbol, &start, &last); err != nil {
				return err
			}
			inst, held := insts[symbol]
			if !held {
				inst.Multiplier = decimal.NewFromInt(1)
			}
			p := newDayPrice(inst, from, number(last))
			p.day = start.UTC()
			out[symbol] = append(out[symbol], p)
		}
		return rows.Err()
	})
	return out, s.db.As(auth.Principal{User: owner.user}).Do(ctx, &b)
}

// growth is the time-weighted growth at each point. Within a day there is one chain link (rule 6): what came
// in counts from its start, what left until its end.
func (p *pastOf) growth() ([]float64, bool) {
	days := p.days()
	if p.step == oneDay {
		return returns.Cumulative(days)
	}
	out := make([]float64, len(days))
	in, left := 0.0, 0.0
	for i := range days {
		in, left = in+days[i].In, left+days[i].Out
		day := []returns.Day{days[0], days[i]}
		day[0].In, day[0].Out = 0, 0
		day[1].In, day[1].Out = in, left
		if chain, known := returns.Cumulative(day); known {
			out[i] = chain[1]
		} else {
			out[i] = math.NaN()
		}
	}
	return out, true
}

// end is the time of point i: the last moment of its day, or the end of its minutes.
func (p *pastOf) end(i int) time.Time {
	if p.step == oneDay {
		return p.day(i).Add(oneDay - time.Second)
	}
	return p.day(i).Add(p.step)
}
