package prices

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// DB runs statements as the service that writes prices. auth.Rows of ServiceFeed is one.
type DB interface {
	Do(ctx context.Context, b *pgx.Batch) error
	Tx(ctx context.Context, fn func(tx pgx.Tx) error) error
}

// store is what of the room lies in PostgreSQL.
type store struct {
	db     DB
	sealer Sealer
}

// perStatement bounds how many rows one statement writes.
const perStatement = 5000

// instruments reads all instruments with their splits.
func (s store) instruments(ctx context.Context) ([]Instrument, error) {
	var all []Instrument
	splits := map[Symbol][]Split{}
	b := &pgx.Batch{}
	b.Queue(`SELECT symbol, ex_date, n, d FROM app.splits ORDER BY symbol, ex_date`).Query(func(rows pgx.Rows) error {
		var symbol Symbol
		var split Split
		_, err := pgx.ForEachRow(rows, []any{&symbol, &split.ExDate, &split.N, &split.D}, func() error {
			splits[symbol] = append(splits[symbol], split)
			return nil
		})
		return err
	})
	b.Queue(`SELECT symbol, name, kind, currency, minor_unit_factor::text, multiplier::text, coalesce(isin, ''), coalesce(mic, ''), coalesce(calendar, ''), price_adjusted
	         FROM app.instruments ORDER BY symbol`).Query(func(rows pgx.Rows) error {
		var i Instrument
		_, err := pgx.ForEachRow(rows, []any{&i.Symbol, &i.Name, &i.Kind, &i.Currency, &i.MinorUnit, &i.Multiplier, &i.ISIN, &i.MIC, &i.Calendar, &i.PriceAdjusted}, func() error {
			i.Splits = splits[i.Symbol]
			all = append(all, i)
			return nil
		})
		return err
	})
	if err := s.db.Do(ctx, b); err != nil {
		return nil, fmt.Errorf("prices: read instruments: %w", err)
	}
	return all, nil
}

// addInstruments writes those that are not there yet: what somebody set stays.
func (s store) addInstruments(ctx context.Context, all []Instrument) error {
	b := &pgx.Batch{}
	for _, i := range all {
		b.Queue(`INSERT INTO app.instruments (symbol, name, kind, currency, multiplier, isin, mic, calendar, price_adjusted, minor_unit_factor)
		         VALUES ($1, $2, $3, $4, $5::text::numeric, nullif($6, ''), nullif($7, ''), nullif($8, ''), $9, $10::text::numeric) ON CONFLICT (symbol) DO NOTHING`,
			i.Symbol, i.Name, i.Kind, i.Currency, i.Multiplier.String(), i.ISIN, i.MIC, i.Calendar, i.PriceAdjusted, i.minorUnit().String())
	}
	if err := s.db.Do(ctx, b); err != nil {
		return fmt.Errorf("prices: write instruments: %w", err)
	}
	return nil
}

// setInstrument writes what i says; where splits is not nil it replaces the splits too.
func (s store) setInstrument(ctx context.Context, i Instrument, splits []Split) error {
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO app.instruments (symbol, name, kind, currency, multiplier, isin, mic, calendar, price_adjusted, minor_unit_factor)
	         VALUES ($1, $2, $3, $4, $5::text::numeric, nullif($6, ''), nullif($7, ''), nullif($8, ''), $9, $10::text::numeric)
	         ON CONFLICT (symbol) DO UPDATE SET name = excluded.name, kind = excluded.kind, currency = excluded.currency, multiplier = excluded.multiplier,
	           isin = excluded.isin, mic = excluded.mic, calendar = excluded.calendar, price_adjusted = excluded.price_adjusted, minor_unit_factor = excluded.minor_unit_factor`,
		i.Symbol, i.Name, i.Kind, i.Currency, i.Multiplier.String(), i.ISIN, i.MIC, i.Calendar, i.PriceAdjusted, i.minorUnit().String())
	if splits != nil {
		b.Queue(`DELETE FROM app.splits WHERE symbol = $1`, i.Symbol)
		for _, split := range splits {
			b.Queue(`INSERT INTO app.splits (symbol, ex_date, n, d) VALUES ($1, $2, $3, $4)`, i.Symbol, split.ExDate, split.N, split.D)
		}
	}
	if err := s.db.Do(ctx, b); err != nil {
		return fmt.Errorf("prices: write %s: %w", i.Symbol, err)
	}
	return nil
}

// conflict says which of two closes of one day stays.
type conflict string

const (
	keepOld conflict = `DO NOTHING`
	takeNew conflict = `DO UPDATE SET close = excluded.close, source = excluded.source
	                    WHERE closes.close IS DISTINCT FROM excluded.close OR closes.source IS DISTINCT FROM excluded.source`
)

// writeCloses writes closes in few statements. A day named twice in all keeps the later one.
func (s store) writeCloses(ctx context.Context, all []Close, c conflict) error {
	for len(all) > 0 {
		part := all[:min(perStatement, len(all))]
		all = all[len(part):]
		symbols, dates, closes, sources := make([]string, len(part)), make([]time.Time, len(part)), make([]string, len(part)), make([]string, len(part))
		for i, x := range part {
			symbols[i], dates[i], closes[i], sources[i] = string(x.Symbol), x.Date, x.Close.String(), x.Source
		}
		b := &pgx.Batch{}
		b.Queue(`INSERT INTO app.closes (symbol, date, close, source)
		         SELECT DISTINCT ON (symbol, date) symbol, date, close::numeric, source
		         FROM unnest($1::text[], $2::date[], $3::text[], $4::text[]) WITH ORDINALITY AS x (symbol, date, close, source, place)
		         ORDER BY symbol, date, place DESC
		         ON CONFLICT (symbol, date) `+string(c), symbols, dates, closes, sources)
		if err := s.db.Do(ctx, b); err != nil {
			return fmt.Errorf("prices: write closes: %w", err)
		}
	}
	return nil
}

// closes reads those of one symbol on the dates from … to, both included, oldest first.
func (s store) closes(ctx context.Context, symbol Symbol, from, to time.Time) ([]Close, error) {
	var all []Close
	b := &pgx.Batch{}
	b.Queue(`SELECT date, close::text, source FROM app.closes WHERE symbol = $1 AND date BETWEEN $2::date AND $3::date ORDER BY date`,
		symbol, from, to).Query(func(rows pgx.Rows) error {
		c := Close{Symbol: symbol}
		_, err := pgx.ForEachRow(rows, []any{&c.Date, &c.Close, &c.Source}, func() error { all = append(all, c); return nil })
		return err
	})
	if err := s.db.Do(ctx, b); err != nil {
		return nil, fmt.Errorf("prices: read closes of %s: %w", symbol, err)
	}
	return all, nil
}

// lastCloses reads the two newest closes of every instrument, oldest first.
func (s store) lastCloses(ctx context.Context) ([]Close, error) {
	var all []Close
	b := &pgx.Batch{}
	b.Queue(`SELECT i.symbol, c.date, c.close::text, c.source FROM app.instruments i
	         CROSS JOIN LATERAL (SELECT date, close, source FROM app.closes WHERE symbol = i.symbol ORDER BY date DESC LIMIT 2) c
	         ORDER BY c.date`).Query(func(rows pgx.Rows) error {
		var c Close
		_, err := pgx.ForEachRow(rows, []any{&c.Symbol, &c.Date, &c.Close, &c.Source}, func() error { all = append(all, c); return nil })
		return err
	})
	if err := s.db.Do(ctx, b); err != nil {
		return nil, fmt.Errorf("prices: read last closes: %w", err)
	}
	return all, nil
}

// newestClose is the date of the newest close that each symbol has.
func (s store) newestClose(ctx context.Context) (map[Symbol]time.Time, error) {
	newest := map[Symbol]time.Time{}
	b := &pgx.Batch{}
	b.Queue(`SELECT symbol, max(date) FROM app.closes GROUP BY symbol`).Query(func(rows pgx.Rows) error {
		var symbol Symbol
		var date time.Time
		_, err := pgx.ForEachRow(rows, []any{&symbol, &date}, func() error { newest[symbol] = date; return nil })
		return err
	})
	if err := s.db.Do(ctx, b); err != nil {
		return nil, fmt.Errorf("prices: read newest closes: %w", err)
	}
	return newest, nil
}
