package prices

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"time"
)

// ecb reads the euro reference rates of the European Central Bank: about thirty currencies, set once a
// TARGET working day around 16:00 in Frankfurt, for information only. Weekends and holidays have no row.
// Source: ecb.europa.eu, euro foreign exchange reference rates.
type ecb struct {
	address string // of the folder with the two files
	every   time.Duration
	deps    feedDeps
}

const (
	ecbAddress = "https://www.ecb.europa.eu/stats/eurofxref"
	ecbToday   = "/eurofxref-daily.xml"
	ecbHistory = "/eurofxref-hist-90d.xml"
)

// ecbCurrencies are those that the bank sets a rate for.
var ecbCurrencies = []string{"USD", "JPY", "CZK", "DKK", "GBP", "HUF", "PLN", "RON", "SEK", "CHF", "ISK", "NOK", "TRY", "AUD", "BRL", "CAD", "CNY", "HKD",
	"IDR", "ILS", "INR", "KRW", "MXN", "MYR", "NZD", "PHP", "SGD", "THB", "ZAR"}

func (e *ecb) Name() string { return ecbSource }

// Instruments are the pairs of the euro. Other pairs are crosses of two of them.
func (e *ecb) Instruments() []Instrument {
	all := make([]Instrument, len(ecbCurrencies))
	for i, c := range ecbCurrencies {
		all[i] = Instrument{Symbol: Symbol("EUR-" + c), Name: "Euro in " + c, Kind: KindFX, Currency: c, Multiplier: one}
	}
	return all
}

// Run reports the newest rates at once and whenever a look finds newer ones.
func (e *ecb) Run(ctx context.Context, emit func([]Tick)) error {
	for {
		days, err := e.fetch(ctx, ecbToday)
		if err != nil {
			return err
		}
		for _, d := range days {
			emit(d.ticks())
		}
		if sleep(ctx, e.every) != nil {
			return nil
		}
	}
}

// History is the last ninety days.
func (e *ecb) History(ctx context.Context) ([]Close, error) {
	days, err := e.fetch(ctx, ecbHistory)
	if err != nil {
		return nil, err
	}
	var all []Close
	for _, d := range days {
		for _, t := range d.ticks() {
			all = append(all, Close{t.Symbol, d.date, t.Price, ecbSource})
		}
	}
	return all, nil
}

func (e *ecb) fetch(ctx context.Context, file string) ([]ecbDay, error) {
	body, err := fetch(ctx, ecbSource, e.address+file, time.Minute)
	if err != nil {
		return nil, err
	}
	days, skipped, err := readECB(body)
	for range skipped {
		e.deps.malformed()
	}
	return days, err
}

// ecbDay is the rates of one date.
type ecbDay struct {
	date  time.Time
	rates []ecbRate
}

type ecbRate struct{ currency, rate string }

// ticks are d's rates at the time at which they are set. Those that are not numbers were left out by readECB.
func (d ecbDay) ticks() []Tick {
	at := time.Date(d.date.Year(), d.date.Month(), d.date.Day(), 16, 0, 0, 0, frankfurt)
	var all []Tick
	for _, r := range d.rates {
		if price, err := parsePrice(r.rate); err == nil && price.IsPositive() {
			all = append(all, Tick{Symbol("EUR-" + r.currency), price, at, ecbSource})
		}
	}
	return all
}

var frankfurt = zone("Europe/Berlin")

// readECB reads the bank's XML: <Cube><Cube time="2026-01-05"><Cube currency="USD" rate="1.0871"/>…
// What is malformed in it is skipped and counted; a file without any rate is an error.
func readECB(body []byte) (days []ecbDay, skipped int, err error) {
	var envelope struct {
		Days []struct {
			Time  string `xml:"time,attr"`
			Rates []struct {
				Currency string `xml:"currency,attr"`
				Rate     string `xml:"rate,attr"`
			} `xml:"Cube"`
		} `xml:"Cube>Cube"`
	}
	if err := xml.Unmarshal(body, &envelope); err != nil {
		return nil, 0, fmt.Errorf("ecb: %w", err)
	}
	for _, d := range envelope.Days {
		date, err := time.Parse(time.DateOnly, d.Time)
		if err != nil {
			skipped++
			continue
		}
		day := ecbDay{date: date}
		for _, r := range d.Rates {
			if price, err := parsePrice(r.Rate); err != nil || !price.IsPositive() || !isCurrency(r.Currency) {
				skipped++
				continue
			}
			day.rates = append(day.rates, ecbRate{r.Currency, r.Rate})
		}
		days = append(days, day)
	}
	if len(days) == 0 {
		return nil, skipped, errors.New("ecb: no rates in the answer")
	}
	return days, skipped, nil
}
