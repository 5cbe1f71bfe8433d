package prices

import (
	"time"

	"github.com/shopspring/decimal"

	"rosetree/internal/api"
)

// AlertKind is what an alert waits for.
type AlertKind string

const (
	AlertAbove  AlertKind = "above"   // the price is at or above the threshold
	AlertBelow  AlertKind = "below"   // the price is at or below it
	AlertDayPct AlertKind = "day_pct" // the day change in per cent is at or beyond it; below 0: a fall
)

// Alert is what a user wants to be told of. One whose condition holds already fires at once.
type Alert struct {
	ID           string           `json:"id"`
	Symbol       Symbol           `json:"symbol"`
	Kind         AlertKind        `json:"kind"`
	Threshold    decimal.Decimal  `json:"threshold"` // splits since it was set are counted
	Once         bool             `json:"once"`      // fires once; else it arms again when the price has come back
	Armed        bool             `json:"armed"`
	Webhook      *string          `json:"webhook"`
	Secret       string           `json:"webhook_secret,omitempty"` // signs what the webhook is sent; shown where it is made, and never again
	WebhookError string           `json:"webhook_error,omitempty"`  // why nothing can be sent there, whatever fires; what its user is to do
	Note         string           `json:"note"`
	CreatedAt    time.Time        `json:"created_at"`
	FiredAt      *time.Time       `json:"fired_at"`
	Fired        *decimal.Decimal `json:"fired_price"`
}

// Firing is one time that an alert came true. Its id is the same wherever it is told: whoever hears it twice may
// leave out the second.
type Firing struct {
	ID        string          `json:"id"`
	Alert     string          `json:"alert"`
	Symbol    Symbol          `json:"symbol"`
	Kind      AlertKind       `json:"kind"`
	Threshold decimal.Decimal `json:"threshold"`
	Price     decimal.Decimal `json:"price"`
	PriceAt   time.Time       `json:"price_at"`
	Source    string          `json:"source"`
	Note      string          `json:"note"`
	FiredAt   time.Time       `json:"fired_at"`
	SeenAt    *time.Time      `json:"seen_at"`

	WebhookError string `json:"webhook_error,omitempty"` // what came of the last try to send it, where it was not taken
}

// An alert arms again when the price has come back by this share of the threshold (of a day change: of its per
// cent), so that a price that flickers around it does not fire with every tick.
var (
	backPrice = decimal.New(5, -3)
	backDay   = decimal.New(1, -1)
	hundred   = decimal.NewFromInt(100)
)

// watched is an alert as it is checked on ticks. The fields below the line belong to its ladder.
type watched struct {
	id, user  string
	symbol    Symbol
	revision  int64
	kind      AlertKind
	threshold decimal.Decimal
	shares    day // threshold is per share of this day
	armed     bool

	level  decimal.Decimal // where it fires, or, where it is not armed, arms again
	rising bool            // reached from below
	place  int             // in its heap; -1: in none
}

// aim says at which price something happens to the alert; ok is false while that cannot be known. threshold is in
// today's shares, previous the close that the day change refers to.
func (a *watched) aim(threshold decimal.Decimal, previous decimal.NullDecimal) (level decimal.Decimal, rising, ok bool) {
	rising = a.kind == AlertAbove || a.kind == AlertDayPct && threshold.IsPositive()
	back := backPrice
	if a.kind == AlertDayPct {
		back = backDay
	}
	if !a.armed { // back over the threshold, from the other side
		if rising || a.kind == AlertDayPct {
			back = back.Neg()
		}
		threshold = threshold.Add(threshold.Mul(back))
		rising = !rising
	}
	if a.kind != AlertDayPct {
		return threshold, rising, true
	}
	return previous.Decimal.Mul(hundred.Add(threshold)).Shift(-2), rising, previous.Valid
}

type alertInput struct {
	Symbol    string  `json:"symbol"`
	Kind      string  `json:"kind"`
	Threshold string  `json:"threshold"`
	Once      *bool   `json:"once"` // missing: true
	Note      string  `json:"note"`
	Webhook   *string `json:"webhook"`
}

const (
	alertsPerUser = 500
	longestNote   = 500
)

// maxDayPct bounds the per cent of a day.
var maxDayPct = decimal.NewFromInt(1000)

func parseThreshold(kind AlertKind, text string) (decimal.Decimal, error) {
	if kind != AlertDayPct {
		return decimalField("threshold", text)
	}
	d, err := parsePrice(text)
	switch {
	case err != nil:
		return d, api.Invalid("threshold", "%q is not a decimal number such as \"-2.5\"", text)
	case d.IsZero():
		return d, api.Invalid("threshold", "a day change of 0 per cent is always reached")
	case d.LessThanOrEqual(hundred.Neg()) || d.GreaterThan(maxDayPct):
		return d, api.Invalid("threshold", "a day change is more than -100 and at most %s per cent", maxDayPct)
	}
	return d, nil
}

func checkNote(note string) error {
	if len(note) > longestNote {
		return api.Invalid("note", "at most %d bytes", longestNote)
	}
	return nil
}
