package prices

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/internal/api"
)

// Operations are what every user may ask of prices.
func (s *Service) Operations() []api.Operation[struct{}] {
	return []api.Operation[struct{}]{
		api.Op("price.last", http.MethodGet, "/api/prices", s.last),
		api.Op("price.candles", http.MethodGet, "/api/prices/{symbol}/candles", s.candles),
	}
}

// UserOperations are what each user may do with what is theirs.
func (s *Service) UserOperations() []api.Operation[Owner] {
	return slices.Concat(s.alertOperations(), s.watchlistOperations(), s.ownOperations())
}

// SymbolList is a JSON array of symbols, or one text with commas as in a query string.
type SymbolList []string

// UnmarshalJSON reads either form.
func (l *SymbolList) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*l = strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

// maxSymbols bounds one question for last prices.
const maxSymbols = 500

type lastInput struct {
	Symbols SymbolList `json:"symbols"`
}

// LastPrice is a symbol's newest price. What is not known is null.
type LastPrice struct {
	Symbol    Symbol           `json:"s"`
	Name      string           `json:"name"`
	Price     *decimal.Decimal `json:"p"`
	Time      *int64           `json:"t"` // Unix milliseconds
	N         uint64           `json:"n"`
	Previous  *decimal.Decimal `json:"previous_close"`
	Change    *decimal.Decimal `json:"day_change"`
	ChangePct *decimal.Decimal `json:"day_change_pct"` // two decimals
	Currency  string           `json:"currency"`
	Freshness Freshness        `json:"freshness"`
	Source    string           `json:"source"`
	Delay     int64            `json:"delay_ms"` // how far behind the market the source is by its nature; 0: real time
}

// Rejected is a symbol that was asked for in vain.
type Rejected struct {
	Symbol string `json:"symbol"`
	Code   string `json:"code"`
}

type lastOutput struct {
	Prices   []LastPrice `json:"prices"`
	Rejected []Rejected  `json:"rejected"`
}

func (s *Service) last(_ context.Context, _ struct{}, in lastInput) (lastOutput, error) {
	out := lastOutput{Prices: []LastPrice{}, Rejected: []Rejected{}}
	if len(in.Symbols) == 0 {
		return out, api.Invalid("symbols", "name at least one symbol, as in symbols=AAPL,BTC-USD")
	}
	if len(in.Symbols) > maxSymbols {
		return out, api.Invalid("symbols", "at most %d symbols at a time", maxSymbols)
	}
	for _, text := range in.Symbols {
		symbol, err := ParseSymbol(strings.TrimSpace(text))
		i, known := s.Book.Instrument(symbol)
		if err != nil || !known {
			out.Rejected = append(out.Rejected, Rejected{text, unknownSymbol.String()})
			continue
		}
		out.Prices = append(out.Prices, s.lastPrice(i))
	}
	return out, nil
}

func (s *Service) lastPrice(i Instrument) LastPrice {
	p := LastPrice{Symbol: i.Symbol, Name: i.Name, Currency: i.Currency, Freshness: s.Book.Freshness(i.Symbol, time.Now())}
	q, ok := s.Book.Quote(i.Symbol)
	if !ok {
		return p
	}
	at := q.At.UnixMilli()
	p.Price, p.Time, p.N, p.Source, p.Delay = &q.Price, &at, q.N, q.Source, delayOf(q.Source).Milliseconds()
	if q.Previous.Valid {
		change := q.Price.Sub(q.Previous.Decimal)
		percent := change.Shift(2).DivRound(q.Previous.Decimal, 2)
		p.Previous, p.Change, p.ChangePct = &q.Previous.Decimal, &change, &percent
	}
	return p
}

type candlesInput struct {
	Symbol   string `json:"symbol"`
	Interval string `json:"interval"`
	From     string `json:"from"`
	To       string `json:"to"`
}

// Candle is what a price did in one interval. Open, high and low are null where only the close is known.
type Candle struct {
	Time  int64            `json:"t"` // start, Unix milliseconds
	Open  *decimal.Decimal `json:"o"`
	High  *decimal.Decimal `json:"h"`
	Low   *decimal.Decimal `json:"l"`
	Close decimal.Decimal  `json:"c"`
}

type candlesOutput struct {
	Symbol   Symbol   `json:"symbol"`
	Interval string   `json:"interval"`
	Candles  []Candle `json:"candles"`
}

// maxCandles bounds one answer.
const maxCandles = 5000

// candles answers those that begin from … to (default: the last year of days, or the last 500 of another interval).
func (s *Service) candles(ctx context.Context, _ struct{}, in candlesInput) (candlesOutput, error) {
	i, err := s.instrument(in.Symbol)
	if err != nil {
		return candlesOutput{}, err
	}
	p, ok := parsePeriod(in.Interval)
	if !ok {
		return candlesOutput{}, api.Invalid("interval", "%q is not one of 1m, 5m, 1h, 1d", in.Interval)
	}
	to, err := moment("to", in.To, time.Now())
	if err != nil {
		return candlesOutput{}, err
	}
	back := 500 * p.long
	if p.name == "1d" {
		back = 366 * p.long
	}
	from, err := moment("from", in.From, to.Add(-back))
	switch {
	case err != nil:
		return candlesOutput{}, err
	case from.After(to):
		return candlesOutput{}, api.Invalid("from", "from is later than to")
	case to.Sub(from) > maxCandles*p.long && p.name != "1d":
		return candlesOutput{}, api.Invalid("from", "at most %d candles at a time", maxCandles)
	}
	shares := s.sharesSince(i, p)
	list, err := s.store.candles(ctx, i.Symbol, p, from, to, maxCandles, i.PriceAdjusted, shares)
	if err != nil {
		return candlesOutput{}, err
	}
	minutes := s.tape.unwritten(i.Symbol)
	for k := range minutes {
		n, d := splitsBetween(i.Splits, minutes[k].session, s.Book.today(i.Symbol))
		minutes[k].restate(n, d)
	}
	return candlesOutput{i.Symbol, p.name, withUnwritten(list, minutes, p, from, to)}, nil
}

// sharesSince says what one share at the start of a candle has become until today: n for every m.
func (s *Service) sharesSince(i Instrument, p span) func(time.Time) (n, m int64) {
	if len(i.Splits) == 0 {
		return func(time.Time) (int64, int64) { return 1, 1 }
	}
	today := s.Book.today(i.Symbol)
	return func(start time.Time) (int64, int64) {
		d := dayOf(start.UTC()) // a day's candle begins at 00:00 UTC of its date
		if p.name != "1d" {
			now, _ := s.Book.sessionOf(i.Symbol, start)
			d = now.day
		}
		return splitsBetween(i.Splits, d, today)
	}
}

// instrument is what a client's text names, or the problem that says that there is none.
func (s *Service) instrument(text string) (Instrument, error) {
	symbol, err := ParseSymbol(text)
	if err != nil {
		return Instrument{}, api.Invalid("symbol", "%s", err)
	}
	i, ok := s.Book.Instrument(symbol)
	if !ok {
		return Instrument{}, errUnknownSymbol
	}
	return i, nil
}

var errUnknownSymbol = &api.Problem{Status: http.StatusNotFound, Code: "unknown_symbol", Message: "no instrument has this symbol", Field: "symbol"}

// moment reads a date or an RFC 3339 time.
func moment(field, text string, fallback time.Time) (time.Time, error) {
	if text == "" {
		return fallback, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 1900 && t.Year() <= 2200 {
			return t, nil
		}
	}
	return time.Time{}, api.Invalid(field, "%q is neither a date such as 2026-01-31 nor an RFC 3339 time", text)
}

// decimalField reads a decimal string of a client.
func decimalField(field, text string) (decimal.Decimal, error) {
	d, err := parsePrice(text)
	switch {
	case errors.Is(err, errDigits):
		return d, api.Invalid(field, "%s", tooManyDigits.message())
	case err != nil:
		return d, api.Invalid(field, "%q is not a decimal number such as \"189.12\"", text)
	case d.Sign() <= 0:
		return d, api.Invalid(field, "must be greater than 0")
	}
	return d, nil
}
