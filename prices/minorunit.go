package prices

import (
	"github.com/shopspring/decimal"

	"rosetree/internal/api"
)

// minorUnits are codes under which prices are quoted in a part of a currency, as data vendors write them.
var minorUnits = map[string]struct {
	currency string
	factor   decimal.Decimal
}{
	"GBX": {"GBP", cent}, "GBp": {"GBP", cent}, "GBPX": {"GBP", cent},
	"ZAc": {"ZAR", cent}, "ZAC": {"ZAR", cent}, "ZAX": {"ZAR", cent},
	"ILA": {"ILS", cent}, "ILa": {"ILS", cent}, "ILX": {"ILS", cent},
	"USX": {"USD", cent}, "USc": {"USD", cent},
	"KWF": {"KWD", decimal.New(1, -3)}, "KWf": {"KWD", decimal.New(1, -3)},
}

var cent = decimal.New(1, -2)

// inCurrency reads what an instrument is quoted in: a currency, or a minor unit's code. factor, where it is given,
// says how much of the currency one quoted unit is, and must agree with the code.
func inCurrency(code, factor string) (currency string, unit decimal.Decimal, err error) {
	currency, unit = code, one
	if m, minor := minorUnits[code]; minor {
		currency, unit = m.currency, m.factor
	}
	if !isCurrency(currency) {
		return "", unit, api.Invalid("currency", "%q is neither an ISO 4217 code such as USD nor a minor unit such as GBX", code)
	}
	if factor == "" {
		return currency, unit, nil
	}
	given, err := decimalField("minor_unit_factor", factor)
	switch {
	case err != nil:
		return "", unit, err
	case given.GreaterThan(one):
		return "", unit, api.Invalid("minor_unit_factor", "a minor unit is at most 1 of the currency: 0.01 for pence")
	case currency != code && !given.Equal(unit):
		return "", unit, api.Invalid("minor_unit_factor", "one %s is %s %s", code, unit, currency)
	}
	return currency, given, nil
}

// minorUnit is i's factor; what was never said is 1.
func (i Instrument) minorUnit() decimal.Decimal {
	if i.MinorUnit.IsZero() {
		return one
	}
	return i.MinorUnit
}

// toCurrency turns what sources quote in minor units into the instruments' currencies, in place. It stands at the
// edge: behind it all prices are in the currency.
func (b *Book) toCurrency(ticks []Tick) {
	if b.minors.Load() == 0 {
		return
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for i := range ticks {
		if e := b.entries[ticks[i].Symbol]; e != nil && e.minor {
			ticks[i].Price = ticks[i].Price.Mul(e.instrument.MinorUnit)
		}
	}
}

// closesInCurrency is toCurrency for closes that a source says.
func (b *Book) closesInCurrency(closes []Close) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for i := range closes {
		if e := b.entries[closes[i].Symbol]; e != nil && e.minor {
			closes[i].Close = closes[i].Close.Mul(e.instrument.MinorUnit)
		}
	}
}
