package portfolio

import (
	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
)

// minorUnits are the decimals of a currency's amounts where they are not 2 (ISO 4217; BTC and ETH by custom).
var minorUnits = map[string]int32{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"BTC": 8, "ETH": 8,
}

func minorUnit(currency string) int32 {
	if places, ok := minorUnits[currency]; ok {
		return places
	}
	return 2
}

// money shows a at its currency's minor unit; what is not known is null (rule 1).
func money(a ledger.Amount, currency string) Figure {
	if !a.Known() {
		return ""
	}
	places := minorUnit(currency)
	return Figure(a.Value.Round(places).StringFixed(places))
}

// price shows a price per unit: 8 significant digits.
func price(e ledger.Exact) Figure { return Figure(e.Digits(8).String()) }

// quantity shows units as they are; a fraction that no decimal can say has 18 decimals.
func quantity(e ledger.Exact) Figure { return Figure(e.Decimal(18).String()) }

var hundred = ledger.FromDecimal(decimal.NewFromInt(100))

// percent shows part/whole in per cent; null where there is no whole.
func percent(part, whole ledger.Amount) Figure {
	if !part.Known() || !whole.Known() || whole.Value.IsZero() {
		return ""
	}
	return Figure(part.Value.Mul(hundred).Quo(whole.Value).Round(2).StringFixed(2))
}
