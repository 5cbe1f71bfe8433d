package prices

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
)

// PastRequest is what Backfill is to write. It writes over nothing that is there, unless Replace says so.
type PastRequest struct {
	Symbols  []string // none: all that the source knows
	Interval string   // "1m", "5m", "1h" or "1d"
	From, To time.Time
	Replace  bool
}

// PastFrom is from when on candles of an interval are filled in, where nobody says it: a year ago, or since they are kept.
func PastFrom(interval string, now time.Time) time.Time {
	keep := 366 * 24 * time.Hour
	if p, ok := spanOf(interval); ok && p.keep > 0 {
		keep = p.keep - p.long // one is under way
	}
	return now.Add(-keep)
}

// PastResult is what came of one symbol.
type PastResult struct {
	Symbol   Symbol `json:"symbol"`
	Interval string `json:"interval"`
	Found    int    `json:"found"`   // candles, or closes, in the time asked for
	Written  int    `json:"written"` // candles; the others were there
	Skipped  int    `json:"skipped"` // what was no candle
}

// Backfill asks the service's feed, which is an exchange that answers the past, for candles, writes them and tells all
// servers. tell is called after each symbol.
func (s *Service) Backfill(ctx context.Context, r PastRequest, tell func(PastResult)) error {
	x, ok := s.feeds[0].(*exchange)
	if !ok || len(s.feeds) != 1 {
		return fmt.Errorf("name one exchange that answers the past: coinbase, kraken or binance")
	}
	c, err := x.chronicler(s.log)
	if err != nil {
		return err
	}
	p, err := r.span(time.Now())
	if err != nil {
		return err
	}
	if err := s.store.addInstruments(ctx, x.Instruments()); err != nil {
		return err
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	symbols, err := x.covered(r.Symbols)
	if err != nil {
		return err
	}
	for _, symbol := range symbols {
		all, skipped, err := c.candles(ctx, symbol, p, r.From.Truncate(p.long), r.To)
		if err != nil {
			return fmt.Errorf("%s: %w", symbol, err)
		}
		written, err := s.writePast(ctx, symbol, p, all, nil, r.Replace)
		if err != nil {
			return err
		}
		tell(PastResult{symbol, p.name, len(all), written, skipped})
	}
	return nil
}

// BackfillFile writes the days that a CSV file has: a header with date and close (or price), and symbol, open, high and low
// where it knows them. whose is the symbol of a file that has none. Interval, Symbols, From and To choose among them.
func (s *Service) BackfillFile(ctx context.Context, path, whose string, r PastRequest, tell func(PastResult)) error {
	if r.Interval != "1d" {
		return fmt.Errorf("a file has days: %s is not possible", r.Interval)
	}
	day, err := r.span(time.Now())
	if err != nil {
		return err
	}
	content, err := readAtMost(path, maxFile)
	if err != nil {
		return err
	}
	symbol, err := ParseSymbol(whose)
	if err != nil && whose != "" {
		return err
	}
	series, err := readBars(bytes.NewReader(content), symbol)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	symbols, err := s.fileSymbols(series, r.Symbols)
	if err != nil {
		return err
	}
	for _, symbol := range symbols {
		candles, closes := days(symbol, series[symbol], r.From, r.To)
		i, _ := s.Book.Instrument(symbol)
		for k := range candles {
			candles[k].scale(i.minorUnit())
		}
		s.Book.closesInCurrency(closes)
		written, err := s.writePast(ctx, symbol, day, candles, closes, r.Replace)
		if err != nil {
			return err
		}
		tell(PastResult{Symbol: symbol, Interval: "1d", Found: len(closes), Written: written})
	}
	return nil
}

// fileSource is the source of closes from a file.
const fileSource = "file"

// days are the bars of [from, to): a close each, and a candle where the file knows high and low.
func days(symbol Symbol, bars []bar, from, to time.Time) (candles []ohlc, closes []Close) {
	for _, b := range bars {
		if b.from.Before(from) || !b.from.Before(to) {
			continue
		}
		closes = append(closes, Close{symbol, b.from, b.close, fileSource})
		if b.high.IsPositive() && b.low.IsPositive() {
			candles = append(candles, ohlc{symbol, b.from, dayOf(b.from), b.open, b.high, b.low, b.close, fileSource})
		}
	}
	return candles, closes
}

// writePast writes candles of one symbol, and of days also their closes, and tells all servers.
func (s *Service) writePast(ctx context.Context, symbol Symbol, p span, all []ohlc, closes []Close, overwrite bool) (int, error) {
	meets, clash := fill, keepOld
	if overwrite {
		meets, clash = replace, takeNew
	}
	if p.name == "1d" && closes == nil {
		for _, c := range all {
			closes = append(closes, Close{symbol, c.start, c.close, c.source})
		}
	}
	if err := s.store.writeCloses(ctx, closes, clash); err != nil {
		return 0, err
	}
	written, err := s.store.writeSpan(ctx, p.name, all, meets)
	if err == nil {
		s.changed(ctx, symbol)
	}
	return written, err
}

// span checks r.
func (r PastRequest) span(now time.Time) (span, error) {
	p, ok := spanOf(r.Interval)
	switch {
	case !ok:
		return p, fmt.Errorf("%q is not one of 1m, 5m, 1h, 1d", r.Interval)
	case !r.From.Before(r.To):
		return p, fmt.Errorf("from %s is not before to %s", r.From.Format(time.DateOnly), r.To.Format(time.DateOnly))
	case p.keep > 0 && r.From.Before(now.Add(-p.keep)): // they would be removed again within the hour
		return p, fmt.Errorf("candles of %s are kept for %d days: ask from %s on", p.name, p.keep/(24*time.Hour), now.Add(-p.keep).AddDate(0, 0, 1).UTC().Format(time.DateOnly))
	}
	return p, nil
}

// covered are the symbols among the exchange's instruments that texts name; all of them where texts is empty.
func (x *exchange) covered(texts []string) ([]Symbol, error) {
	if len(texts) == 0 {
		var all []Symbol
		for _, i := range x.deps.instruments() {
			if x.protocol.covers(i) {
				all = append(all, i.Symbol)
			}
		}
		return all, nil
	}
	return parseSymbols(texts, func(s Symbol) error {
		if _, known := x.deps.instrument(s); !known {
			return fmt.Errorf("no instrument is called %s: define it first, with instrument.set", s)
		}
		if !x.covers(s) {
			return fmt.Errorf("%s does not list %s", x.name, s)
		}
		return nil
	})
}

// fileSymbols are those of a file's that texts name; all of them where texts is empty.
func (s *Service) fileSymbols(series map[Symbol][]bar, texts []string) ([]Symbol, error) {
	if len(texts) == 0 {
		for symbol := range series {
			texts = append(texts, string(symbol))
		}
		slices.Sort(texts)
	}
	return parseSymbols(texts, func(symbol Symbol) error {
		if _, known := s.Book.Instrument(symbol); !known {
			return fmt.Errorf("no instrument is called %s: define it first, with instrument.set", symbol)
		}
		if isMonthly(series[symbol]) {
			return fmt.Errorf("%s: the file has months, not days", symbol)
		}
		if len(series[symbol]) == 0 {
			return fmt.Errorf("the file has nothing of %s", symbol)
		}
		return nil
	})
}

// parseSymbols are texts as symbols of which check finds nothing to say.
func parseSymbols(texts []string, check func(Symbol) error) ([]Symbol, error) {
	all := make([]Symbol, len(texts))
	for k, text := range texts {
		symbol, err := ParseSymbol(text)
		if err == nil {
			err = check(symbol)
		}
		if err != nil {
			return nil, err
		}
		all[k] = symbol
	}
	return all, nil
}
