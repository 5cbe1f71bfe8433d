package prices

import (
	"context"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/internal/api"
)

type historyInput struct {
	Symbol string      `json:"symbol"`
	Closes []postedDay `json:"closes"`
}

type postedClose struct {
	Date  string `json:"date"`
	Close string `json:"close"`
}

// postedDay is a close with, or without, what else the price did on the day: open, high and low come together.
type postedDay struct {
	postedClose
	Open string `json:"open"`
	High string `json:"high"`
	Low  string `json:"low"`
}

// bar is the candle of the day whose close is c; ok is false where only the close is given.
func (p postedDay) bar(c Close) (d ohlc, ok bool, err error) {
	if p.Open == "" && p.High == "" && p.Low == "" {
		return d, false, nil
	}
	d = ohlc{symbol: c.Symbol, start: c.Date, session: dayOf(c.Date), close: c.Close, source: c.Source}
	for _, f := range []struct {
		name, text string
		into       *decimal.Decimal
	}{{"closes.open", p.Open, &d.open}, {"closes.high", p.High, &d.high}, {"closes.low", p.Low, &d.low}} {
		if *f.into, err = decimalField(f.name, f.text); err != nil {
			return d, false, err
		}
	}
	if d.high.LessThan(decimal.Max(d.open, d.close)) || d.low.GreaterThan(decimal.Min(d.open, d.close)) {
		return d, false, api.Invalid("closes", "%s: open and close do not lie between low and high", p.Date)
	}
	return d, true, nil
}

type historyOutput struct {
	Symbol Symbol `json:"symbol"`
	Closes int    `json:"closes"` // how many were written
}

// setHistory writes daily closes, all or none; a day that is there already is replaced.
func (s *Service) setHistory(ctx context.Context, _ struct{}, in historyInput) (historyOutput, error) {
	i, err := s.instrument(in.Symbol)
	if err != nil {
		return historyOutput{}, err
	}
	if len(in.Closes) == 0 {
		return historyOutput{}, api.Invalid("closes", "name at least one close")
	}
	closes, days := make([]Close, len(in.Closes)), []ohlc(nil)
	for n, posted := range in.Closes {
		if closes[n], err = posted.close("closes", i.Symbol); err != nil {
			return historyOutput{}, err
		}
		d, whole, err := posted.bar(closes[n])
		if err != nil {
			return historyOutput{}, err
		}
		if whole {
			d.scale(i.minorUnit())
			days = append(days, d)
		}
	}
	s.Book.closesInCurrency(closes)
	if err := s.store.writeCloses(ctx, closes, takeNew); err != nil {
		return historyOutput{}, err
	}
	if _, err := s.store.writeSpan(ctx, "1d", days, replace); err != nil {
		return historyOutput{}, err
	}
	slices.SortStableFunc(closes, func(a, b Close) int { return a.Date.Compare(b.Date) })
	s.priceOf(ctx, closes[len(closes)-1])
	s.edits.make(func() { s.Book.Closed(closes...) })
	s.changed(ctx, i.Symbol)
	return historyOutput{i.Symbol, len(closes)}, nil
}

// close reads c, which stands in a field of that name.
func (c postedClose) close(field string, symbol Symbol) (Close, error) {
	date, err := time.Parse(time.DateOnly, c.Date)
	if err != nil || date.Year() < 1900 {
		return Close{}, api.Invalid(field+".date", "%q is not a date such as 2026-01-31", c.Date)
	}
	if date.After(time.Now().AddDate(0, 0, 1)) {
		return Close{}, api.Invalid(field+".date", "%s lies in the future", c.Date)
	}
	price, err := decimalField(field+".close", c.Close)
	return Close{Symbol: symbol, Date: date, Close: price, Source: postedSource}, err
}
