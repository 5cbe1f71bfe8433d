package portfolio

import (
	"strconv"
	"time"

	"rosetree/prices"
)

// ID names a portfolio: a UUIDv7 in canonical text form.
type ID string

// Figure is a decimal as clients see it, rounded at the edge; "" is what is not known, and is sent as null.
type Figure string

// MarshalJSON writes a decimal string, or null.
func (f Figure) MarshalJSON() ([]byte, error) { return f.append(nil), nil }

func (f Figure) append(b []byte) []byte {
	if f == "" {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = append(b, f...)
	return append(b, '"')
}

// Freshness says how far a price can be believed.
type Freshness string

const (
	Live    Freshness = "live"
	Stalled Freshness = "stalled" // the feed is up, but this price has not moved for a while
	Stale   Freshness = "stale"   // too old to value with confidence; the total lists it
	Closed  Freshness = "closed"  // the market is closed: the last price is the right one
	None    Freshness = "none"    // never had a price
)

// Holding is one instrument as a portfolio holds it. Cost, value, unrealised and realised are in the
// instrument's Currency; the …Base figures, DayChange, Income, Fees and Taxes are in the portfolio's.
type Holding struct {
	Symbol         prices.Symbol `json:"symbol"`
	Name           string        `json:"name"`
	Kind           prices.Kind   `json:"kind"`
	Currency       string        `json:"currency"`
	Quantity       Figure        `json:"quantity"`
	AveragePrice   Figure        `json:"average_price"`
	Cost           Figure        `json:"cost"`
	CostBase       Figure        `json:"cost_base"`
	Price          Figure        `json:"price"`
	PriceAt        *time.Time    `json:"price_at"`
	Freshness      Freshness     `json:"freshness"`
	Value          Figure        `json:"value"`
	ValueBase      Figure        `json:"value_base"`
	DayChange      Figure        `json:"day_change"`
	DayChangePct   Figure        `json:"day_change_pct"`
	Unrealised     Figure        `json:"unrealised"`
	UnrealisedBase Figure        `json:"unrealised_base"`
	Realised       Figure        `json:"realised"`
	RealisedBase   Figure        `json:"realised_base"`
	Income         Figure        `json:"income"`
	Fees           Figure        `json:"fees"`
	Taxes          Figure        `json:"taxes"`
	Weight         Figure        `json:"weight"` // per cent of the holdings' value
	Lots           []Lot         `json:"lots,omitempty"`

	// Base profit split in what the price did and what the exchange rate did.
	UnrealisedPrice    Figure `json:"unrealised_price"`
	UnrealisedCurrency Figure `json:"unrealised_currency"`
	RealisedPrice      Figure `json:"realised_price"`
	RealisedCurrency   Figure `json:"realised_currency"`
}

// Lot is what is left of one purchase (or, with a negative quantity, of one short sale).
type Lot struct {
	Account  string    `json:"account"`
	OpenedAt time.Time `json:"opened_at"`
	Quantity Figure    `json:"quantity"`
	Cost     Figure    `json:"cost"`
	CostBase Figure    `json:"cost_base"`
}

// Totals sums a portfolio in its base currency. What cannot be summed is null, and Missing says why:
// a currency pair ("EUR-USD"), a symbol without a price, or "basis:SYMBOL" for units of unknown cost.
type Totals struct {
	Currency     string   `json:"currency"`
	Value        Figure   `json:"value"` // holdings, and cash where an account tracks it
	Cost         Figure   `json:"cost"`
	Cash         Figure   `json:"cash"` // null where no account tracks cash
	DayChange    Figure   `json:"day_change"`
	DayChangePct Figure   `json:"day_change_pct"`
	Unrealised   Figure   `json:"unrealised"`
	Realised     Figure   `json:"realised"`
	Income       Figure   `json:"income"`
	Fees         Figure   `json:"fees"`
	Taxes        Figure   `json:"taxes"`
	TotalPnL     Figure   `json:"total_pnl"`
	Missing      []string `json:"missing"`
	Stale        []string `json:"stale"`
}

// Snapshot is a whole portfolio at one version.
type Snapshot struct {
	Version  int64     `json:"version"`
	Holdings []Holding `json:"holdings"`
	Totals   Totals    `json:"totals"`
}

// Change is what a newer version made of the holdings. Several versions may be joined in one.
type Change struct {
	Version  int64           `json:"version"`
	Holdings []Holding       `json:"holdings"` // those that differ from the last Snapshot or Change
	Removed  []prices.Symbol `json:"removed"`
	Totals   Totals          `json:"totals"`
}

// Mark is a holding's part in a Valuation. ValueBase and UnrealisedBase stand only where the
// instrument's currency is not the portfolio's, Freshness only where it changed.
type Mark struct {
	Symbol         prices.Symbol
	Price          Figure
	Value          Figure
	ValueBase      Figure
	DayChange      Figure
	Unrealised     Figure
	UnrealisedBase Figure
	Foreign        bool
	Freshness      Freshness
}

// Valuation is what prices did to a version since the last Valuation. It has no memory of its own:
// a newer one replaces an older one symbol by symbol.
type Valuation struct {
	Version  int64
	Holdings []Mark
	Totals   Totals
	T        int64 // Unix milliseconds
}

// AppendJSON appends the fields of v ("version", "holdings", "totals", "t") without the braces, so
// that the hub can put its envelope around them; it allocates nothing where b has room.
func (v *Valuation) AppendJSON(b []byte) []byte {
	b = append(b, `"version":`...)
	b = strconv.AppendInt(b, v.Version, 10)
	b = append(b, `,"holdings":[`...)
	for i := range v.Holdings {
		if i > 0 {
			b = append(b, ',')
		}
		b = v.Holdings[i].append(b)
	}
	b = append(b, `],"totals":`...)
	b = v.Totals.append(b)
	b = append(b, `,"t":`...)
	return strconv.AppendInt(b, v.T, 10)
}

// MarshalJSON writes v as one object.
func (v Valuation) MarshalJSON() ([]byte, error) {
	return append(v.AppendJSON([]byte{'{'}), '}'), nil
}

func (m *Mark) append(b []byte) []byte {
	b = append(b, `{"symbol":"`...) // a symbol has no character that JSON escapes
	b = append(b, m.Symbol...)
	b = append(b, '"')
	b = field(b, "price", m.Price)
	b = field(b, "value", m.Value)
	b = field(b, "day_change", m.DayChange)
	b = field(b, "unrealised", m.Unrealised)
	if m.Foreign {
		b = field(b, "value_base", m.ValueBase)
		b = field(b, "unrealised_base", m.UnrealisedBase)
	}
	if m.Freshness != "" {
		b = append(b, `,"freshness":"`...)
		b = append(b, m.Freshness...)
		b = append(b, '"')
	}
	return append(b, '}')
}

func (t *Totals) append(b []byte) []byte {
	b = append(b, `{"currency":"`...)
	b = append(b, t.Currency...)
	b = append(b, '"')
	b = field(b, "value", t.Value)
	b = field(b, "cost", t.Cost)
	b = field(b, "cash", t.Cash)
	b = field(b, "day_change", t.DayChange)
	b = field(b, "day_change_pct", t.DayChangePct)
	b = field(b, "unrealised", t.Unrealised)
	b = field(b, "realised", t.Realised)
	b = field(b, "income", t.Income)
	b = field(b, "fees", t.Fees)
	b = field(b, "taxes", t.Taxes)
	b = field(b, "total_pnl", t.TotalPnL)
	b = names(b, "missing", t.Missing)
	b = names(b, "stale", t.Stale)
	return append(b, '}')
}

func field(b []byte, name string, f Figure) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return f.append(b)
}

// names appends a list of symbols or pairs, none of which has a character that JSON escapes.
func names(b []byte, name string, list []string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, `":[`...)
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, s...)
		b = append(b, '"')
	}
	return append(b, ']')
}
