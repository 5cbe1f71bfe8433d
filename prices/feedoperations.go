package prices

import (
	"context"
	"net/http"
	"slices"
	"time"

	"rosetree/internal/api"
)

// FeedOperations are what the feed role and admins may do.
func (s *Service) FeedOperations() []api.Operation[struct{}] {
	return []api.Operation[struct{}]{
		api.Op("price.post", http.MethodPost, "/api/prices", s.post).WithStatus(http.StatusOK),
		api.Op("price.history.set", http.MethodPut, "/api/prices/{symbol}/history", s.setHistory),
		api.Op("instrument.set", http.MethodPut, "/api/instruments/{symbol}", s.setInstrument),
	}
}

type postInput struct {
	Updates []postedTick `json:"updates"`
}

type postedTick struct {
	Symbol string `json:"s"`
	Price  string `json:"p"`
	Time   int64  `json:"t"` // Unix milliseconds; 0: now
}

type postOutput struct {
	Accepted int          `json:"accepted"`
	Rejected []postReject `json:"rejected"`
}

type postReject struct {
	Index   int    `json:"index"` // place in updates
	Symbol  string `json:"symbol"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

const maxUpdates = 1000

// post takes live ticks. Each is believed or refused by itself; the answer says which and why.
func (s *Service) post(ctx context.Context, _ struct{}, in postInput) (postOutput, error) {
	out := postOutput{Rejected: []postReject{}}
	if len(in.Updates) == 0 || len(in.Updates) > maxUpdates {
		return out, api.Invalid("updates", "from 1 to %d updates at a time", maxUpdates)
	}
	reject := func(place int, why refusal) {
		out.Rejected = append(out.Rejected, postReject{place, in.Updates[place].Symbol, why.String(), why.message()})
	}
	now := time.Now()
	var ticks []Tick
	var places []int // of ticks in updates
	for i, u := range in.Updates {
		tick, why := u.tick(now)
		if why == believed {
			major := []Tick{tick}
			s.Book.toCurrency(major)
			tick = major[0]
		}
		if why != believed {
			s.Book.metrics.refused[why].Inc()
		} else {
			why = s.Book.judge(tick)
		}
		if why != believed {
			reject(i, why)
			continue
		}
		ticks, places = append(ticks, tick), append(places, i)
	}
	late, err := s.send(ctx, ticks)
	if err != nil {
		s.log.Error("prices: posted ticks were not published", "err", err)
		return out, api.Unavailable("prices cannot be published at the moment", time.Second)
	}
	for _, i := range late {
		s.Book.metrics.refused[notNewer].Inc()
		reject(places[i], notNewer)
	}
	slices.SortFunc(out.Rejected, func(a, b postReject) int { return a.Index - b.Index })
	out.Accepted = len(in.Updates) - len(out.Rejected)
	return out, nil
}

// sendBudget is how long ticks are sent again while Redis does not answer: well within a request's time. Whoever posts
// has nothing better to do with them, and ticks that arrived the first time change nothing the second time.
const sendBudget = 5 * time.Second

// send brings ticks that need no leader to every server; it returns the places of those that came too late.
func (s *Service) send(ctx context.Context, ticks []Tick) (late []int, err error) {
	if s.bus != nil {
		ctx, cancel := context.WithTimeout(ctx, sendBudget)
		defer cancel()
		for pause := 50 * time.Millisecond; ; pause *= 2 {
			if late, err = s.bus.publish(ctx, postedSource, "", ticks); err == nil || sleep(ctx, pause) != nil {
				return late, err
			}
		}
	}
	for i := range ticks {
		if s.Book.Apply(ticks[i:i+1]) == 0 {
			late = append(late, i)
		}
	}
	return late, nil
}

// postedSource is the source of ticks that come by the operation.
const postedSource = "ingest"

// ecbSource is the source of the daily reference rates.
const ecbSource = "ecb"

func (u postedTick) tick(now time.Time) (Tick, refusal) {
	symbol, err := ParseSymbol(u.Symbol)
	if err != nil {
		return Tick{}, unknownSymbol
	}
	price, err := parsePrice(u.Price)
	if err == errDigits {
		return Tick{}, tooManyDigits
	}
	if err != nil {
		return Tick{}, notNumber
	}
	at := now
	if u.Time != 0 {
		at = time.UnixMilli(u.Time)
	}
	return Tick{Symbol: symbol, Price: price, At: at, Source: postedSource}, believed
}

// priceOf makes a close that is newer than the last price the price itself, on every server.
func (s *Service) priceOf(ctx context.Context, newest Close) {
	at, ok := s.Book.closeTime(newest)
	if !ok {
		return
	}
	if _, err := s.send(ctx, []Tick{{newest.Symbol, newest.Close, at, newest.Source}}); err != nil {
		s.log.Warn("prices: a close could not be published as the price", "symbol", newest.Symbol, "err", err)
	}
}

// changed tells the other servers to read symbol again; one that cannot be told reads it when it starts.
func (s *Service) changed(ctx context.Context, symbol Symbol) {
	if s.bus == nil {
		return
	}
	if err := s.bus.changed(ctx, symbol); err != nil {
		s.log.Warn("prices: the other servers were not told of a change", "symbol", symbol, "err", err)
	}
}

type instrumentInput struct {
	Symbol        string  `json:"symbol"`
	Name          string  `json:"name"`
	Kind          Kind    `json:"kind"`
	Currency      string  `json:"currency"`          // or the minor unit in which it is quoted: GBX, ZAc, ILA
	MinorUnit     string  `json:"minor_unit_factor"` // missing: as the currency says
	Multiplier    string  `json:"multiplier"`
	ISIN          string  `json:"isin"`
	MIC           string  `json:"mic"`
	Calendar      string  `json:"calendar"`
	PriceAdjusted bool    `json:"price_adjusted"`
	Splits        []Split `json:"splits"`
}

// setInstrument makes or changes what a symbol stands for. Splits that are given replace those known;
// without the field they stay.
func (s *Service) setInstrument(ctx context.Context, _ struct{}, in instrumentInput) (Instrument, error) {
	i, err := in.instrument()
	if err != nil {
		return i, err
	}
	if err := s.store.setInstrument(ctx, i, in.Splits); err != nil {
		return i, err
	}
	if known, ok := s.Book.Instrument(i.Symbol); ok && in.Splits == nil {
		i.Splits = known.Splits
	}
	s.edits.make(func() { s.Book.Define(i) })
	s.alerts.restate()
	s.changed(ctx, i.Symbol)
	return i, nil
}

func (in instrumentInput) instrument() (Instrument, error) {
	symbol, err := ParseSymbol(in.Symbol)
	if err != nil {
		return Instrument{}, api.Invalid("symbol", "%s", err)
	}
	i := Instrument{Symbol: symbol, Name: in.Name, Kind: in.Kind, Currency: in.Currency, Multiplier: one, ISIN: in.ISIN, MIC: in.MIC,
		Calendar: in.Calendar, PriceAdjusted: in.PriceAdjusted, Splits: in.Splits}
	switch {
	case len(in.Name) > 200:
		return i, api.Invalid("name", "at most 200 bytes")
	case in.Kind == "":
		i.Kind = KindEquity
	case !slices.Contains(Kinds, in.Kind):
		return i, api.Invalid("kind", "%q is not one of %v", in.Kind, Kinds)
	case in.Calendar != "" && calendars[in.Calendar] == nil:
		return i, api.Invalid("calendar", "%q is not a calendar that is known here", in.Calendar)
	}
	if i.Currency, i.MinorUnit, err = inCurrency(in.Currency, in.MinorUnit); err != nil {
		return i, err
	}
	if i.Name == "" {
		i.Name = string(symbol)
	}
	if in.Multiplier != "" {
		if i.Multiplier, err = decimalField("multiplier", in.Multiplier); err != nil {
			return i, err
		}
	}
	return i, checkSplits(in.Splits)
}

func checkSplits(splits []Split) error {
	slices.SortFunc(splits, func(a, b Split) int { return a.ExDate.Compare(b.ExDate) })
	for n := 1; n < len(splits); n++ {
		if splits[n].ExDate.Equal(splits[n-1].ExDate) {
			return api.Invalid("splits", "two splits on %s", splits[n].ExDate.Format(time.DateOnly))
		}
	}
	return nil
}

func isCurrency(s string) bool {
	if len(s) != 3 {
		return false
	}
	for _, c := range []byte(s) {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}
