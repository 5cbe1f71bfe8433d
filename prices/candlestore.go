package prices

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/shopspring/decimal"
)

// keepCandles writes minutes and closes a few seconds after they are over. One server does; the
// others keep theirs, within maxMinutes, so that a new leader writes what the old one could not.
func (s *Service) keepCandles(ctx context.Context) error {
	if s.bus == nil {
		return s.writeCandles(ctx)
	}
	l := &lease{rdb: s.rdb, key: keyLead + "candles", term: leaseTerm, log: s.log}
	s.again(ctx, "candles", func() error {
		return l.lead(ctx, func(ctx context.Context, _ string) error { return s.writeCandles(ctx) })
	})
	return nil
}

const (
	writeEvery = 5 * time.Second
	pruneEvery = time.Hour
)

func (s *Service) writeCandles(ctx context.Context) error {
	var pruned time.Time
	for {
		minutes, ended := s.tape.takeDone(time.Now())
		// What somebody posted as the close of a day is better than the last tick that we saw of it.
		if err := s.store.writeCloses(ctx, ended, keepOld); err != nil && ctx.Err() == nil {
			s.log.Warn("prices: closes were not written", "closes", len(ended), "err", err)
		}
		if err := s.store.writeMinutes(ctx, minutes); err != nil && ctx.Err() == nil {
			s.log.Warn("prices: candles were not written", "minutes", len(minutes), "err", err)
		}
		if time.Since(pruned) > pruneEvery {
			if err := errors.Join(s.store.prune(ctx, time.Now()), s.store.pruneFirings(ctx, time.Now())); err != nil && ctx.Err() == nil {
				s.log.Warn("prices: old candles and firings were not removed", "err", err)
			}
			pruned = time.Now()
		}
		if sleep(ctx, writeEvery) != nil {
			return nil
		}
	}
}

// writeMinutes merges minutes into the candles of all spans. Merging what is there already changes nothing,
// so a minute that two servers saw is written by both without harm.
func (s store) writeMinutes(ctx context.Context, minutes []ohlc) error {
	for name, list := range joined(minutes) {
		if _, err := s.writeSpan(ctx, name, list, widen); err != nil {
			return err
		}
	}
	return nil
}

// meeting says what becomes of a candle that is there already.
type meeting string

const (
	widen   meeting = `UPDATE SET high = greatest(k.high, x.high), low = least(k.low, x.low), close = x.close`
	replace meeting = `UPDATE SET open = x.open, high = x.high, low = x.low, close = x.close`
	fill    meeting = `DO NOTHING`
)

// writeSpan writes candles of one span in few statements, and says how many rows it wrote.
func (s store) writeSpan(ctx context.Context, name string, all []ohlc, m meeting) (written int, err error) {
	for part := range slices.Chunk(all, perStatement) {
		n := len(part)
		symbols, starts := make([]string, n), make([]time.Time, n)
		open, high, low, last := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		for i, c := range part {
			symbols[i], starts[i] = string(c.symbol), c.start
			open[i], high[i], low[i], last[i] = c.open.String(), c.high.String(), c.low.String(), c.close.String()
		}
		b := &pgx.Batch{}
		b.Queue(`MERGE INTO app.candles k
		         USING unnest($2::text[], $3::timestamptz[], $4::text[]::numeric[], $5::text[]::numeric[], $6::text[]::numeric[], $7::text[]::numeric[])
		               AS x (symbol, start, open, high, low, close)
		         ON k.span = $1 AND k.symbol = x.symbol AND k.start = x.start
		         WHEN MATCHED THEN `+string(m)+`
		         WHEN NOT MATCHED THEN INSERT (symbol, span, start, open, high, low, close) VALUES (x.symbol, $1, x.start, x.open, x.high, x.low, x.close)`,
			name, symbols, starts, open, high, low, last).Exec(func(tag pgconn.CommandTag) error { written += int(tag.RowsAffected()); return nil })
		if err := s.db.Do(ctx, b); err != nil {
			return written, fmt.Errorf("prices: write candles: %w", err)
		}
	}
	return written, nil
}

// prune removes candles that are older than their span is kept, a part at a time.
func (s store) prune(ctx context.Context, now time.Time) error {
	for _, p := range spans {
		for removed := int64(perStatement); p.keep > 0 && removed == perStatement; {
			b := &pgx.Batch{}
			b.Queue(`DELETE FROM app.candles WHERE span = $1 AND (symbol, start) IN
			         (SELECT symbol, start FROM app.candles WHERE span = $1 AND start < $2 LIMIT $3)`, p.name, now.Add(-p.keep), perStatement).
				Exec(func(tag pgconn.CommandTag) error { removed = tag.RowsAffected(); return nil })
			if err := s.db.Do(ctx, b); err != nil {
				return fmt.Errorf("prices: prune candles: %w", err)
			}
		}
	}
	return nil
}

// candles reads those of symbol whose start lies in [from, to], oldest first. A day of which only the
// close is known has no open, high and low.
//
// What ticks made is per share of its day, and so are closes, unless the instrument's history counts splits already
// (adjusted): shares says what one share of that time has become, so that all candles are in today's shares.
func (s store) candles(ctx context.Context, symbol Symbol, p span, from, to time.Time, most int, adjusted bool, shares func(time.Time) (n, m int64)) ([]Candle, error) {
	query := `SELECT start, open::text, high::text, low::text, close::text, NULL FROM app.candles
	          WHERE span = $2 AND symbol = $1 AND start BETWEEN $3 AND $4 ORDER BY start LIMIT $5`
	if p.name == "1d" {
		query = `SELECT coalesce(k.start, c.date::timestamp AT TIME ZONE 'UTC'), k.open::text, k.high::text, k.low::text, k.close::text, c.close::text
		         FROM (SELECT * FROM app.candles WHERE span = $2 AND symbol = $1 AND start BETWEEN $3 AND $4) k
		         FULL JOIN (SELECT * FROM app.closes WHERE symbol = $1 AND date BETWEEN ($3 AT TIME ZONE 'UTC')::date AND ($4 AT TIME ZONE 'UTC')::date) c
		                ON c.date = (k.start AT TIME ZONE 'UTC')::date
		         ORDER BY 1 LIMIT $5`
	}
	all := []Candle{}
	b := &pgx.Batch{}
	b.Queue(query, string(symbol), p.name, from, to, most).Query(func(rows pgx.Rows) error {
		var start time.Time
		var open, high, low, last, official decimal.NullDecimal
		_, err := pgx.ForEachRow(rows, []any{&start, &open, &high, &low, &last, &official}, func() error {
			n, m := shares(start)
			c := Candle{Time: start.UnixMilli(), Close: restate(last.Decimal, n, m)}
			if official.Valid {
				if c.Close = official.Decimal; !adjusted {
					c.Close = restate(c.Close, n, m)
				}
			}
			if open.Valid {
				// A corrected close may lie outside of what the ticks showed.
				o, h, l := restate(open.Decimal, n, m), decimal.Max(restate(high.Decimal, n, m), c.Close), decimal.Min(restate(low.Decimal, n, m), c.Close)
				c.Open, c.High, c.Low = &o, &h, &l
			}
			all = append(all, c)
			return nil
		})
		return err
	})
	if err := s.db.Do(ctx, b); err != nil {
		return nil, fmt.Errorf("prices: read candles of %s: %w", symbol, err)
	}
	return all, nil
}

// withUnwritten adds to candles what the database does not have yet.
func withUnwritten(candles []Candle, minutes []ohlc, p span, from, to time.Time) []Candle {
	for _, m := range joined(minutes)[p.name] {
		if m.start.Before(from) || m.start.After(to) {
			continue
		}
		ms := m.start.UnixMilli()
		if n := len(candles); n == 0 || candles[n-1].Time < ms {
			candles = append(candles, Candle{ms, &m.open, &m.high, &m.low, m.close})
			continue
		}
		c := &candles[len(candles)-1]
		if c.Time != ms {
			continue // an older one, which was written meanwhile
		}
		open, high, low := m.open, m.high, m.low
		if c.Open != nil {
			open, high, low = *c.Open, decimal.Max(*c.High, high), decimal.Min(*c.Low, low)
		}
		c.Open, c.High, c.Low, c.Close = &open, &high, &low, m.close
	}
	return candles
}
