package main

import (
	"context"
	"sort"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/prices"
)

// demoPlan is a portfolio as the demo makes it: trades of the past years at the prices of their days.
type demoPlan struct {
	owner, name, base, method string
	trades                    []demoTrade
}

type demoTrade struct {
	day      time.Time
	kind     string // buy, sell, dividend
	symbol   prices.Symbol
	currency string
	quantity decimal.Decimal
	price    decimal.Decimal
	amount   decimal.Decimal // of a dividend
	fee      string
}

func (t demoTrade) fields() map[string]string {
	f := map[string]string{"type": t.kind, "symbol": string(t.symbol), "currency": t.currency,
		"executed_at": t.day.Add(15 * time.Hour).Format(time.RFC3339)}
	if t.kind == "dividend" {
		f["amount"] = t.amount.String()
		return f
	}
	f["quantity"], f["price"], f["fee"] = t.quantity.String(), t.price.String(), t.fee
	return f
}

// pastPrices are the daily closes of each symbol, oldest first.
type pastPrices map[prices.Symbol][]prices.Close

var demoSymbols = []prices.Symbol{"AAPL", "AMZN", "GOOG", "IBM", "MSFT", "VWCE", "SAP", "BTC-USD", "ETH-USD"}

// demoYears is how far back the demo's trades go.
const demoYears = 5

func readPast(ctx context.Context, market *prices.Service) (pastPrices, error) {
	past, now := pastPrices{}, time.Now().UTC()
	for _, symbol := range demoSymbols {
		closes, err := market.Closes(ctx, symbol, now.AddDate(-demoYears, -1, 0), now)
		if err != nil {
			return nil, err
		}
		past[symbol] = closes
	}
	return past, nil
}

// on is the last close of symbol at or before day; there is none where no feed brings the symbol.
func (p pastPrices) on(symbol prices.Symbol, day time.Time) (prices.Close, bool) {
	all := p[symbol]
	i := sort.Search(len(all), func(i int) bool { return all[i].Date.After(day) })
	if i == 0 {
		return prices.Close{}, false
	}
	return all[i-1], true
}

// planner writes one portfolio's trades.
type planner struct {
	past  pastPrices
	today time.Time
	plan  demoPlan
}

// demoPlans are the portfolios of the demo.
func demoPlans(past pastPrices) []demoPlan {
	var all []demoPlan
	add := func(owner, name, base, method string, write func(*planner)) {
		p := &planner{past: past, today: time.Now().UTC().Truncate(24 * time.Hour),
			plan: demoPlan{owner: owner, name: name, base: base, method: method}}
		write(p)
		sort.SliceStable(p.plan.trades, func(i, j int) bool { return p.plan.trades[i].day.Before(p.plan.trades[j].day) })
		all = append(all, p.plan)
	}
	add("ana@example.com", "Long term", "USD", "average", func(p *planner) {
		p.buyFor("IBM", "USD", 60, 9000)
		p.dividends("IBM", "USD", 57, 3, "0.55")
		for months := 48; months >= 1; months -= 2 {
			p.buyFor("AAPL", "USD", months, 800)
			p.buyFor("MSFT", "USD", months-1, 600)
		}
		p.sellPart("AAPL", "USD", 12, "0.2")
	})
	add("ana@example.com", "Coins", "USD", "fifo", func(p *planner) {
		for months := 30; months >= 3; months -= 3 {
			p.buyFor("BTC-USD", "USD", months, 500)
			p.buyFor("ETH-USD", "USD", months-1, 250)
		}
		p.sellPart("BTC-USD", "USD", 4, "0.35")
	})
	add("ben@example.com", "Family", "EUR", "average", func(p *planner) {
		for months := 36; months >= 1; months -= 2 {
			p.buyFor("VWCE", "EUR", months, 700)
		}
		p.buyFor("SAP", "EUR", 40, 4000)
		p.dividends("SAP", "EUR", 34, 12, "2.10")
		p.buyFor("MSFT", "USD", 28, 3000)
		p.buyFor("GOOG", "USD", 16, 2500)
	})
	add("chloe@example.com", "All of it", "USD", "fifo", func(p *planner) {
		for i, symbol := range []prices.Symbol{"AMZN", "GOOG", "IBM", "AAPL", "MSFT"} {
			for months := 54 - i; months >= 2; months -= 13 {
				p.buyFor(symbol, "USD", months, 2500)
			}
		}
		p.sellPart("AMZN", "USD", 9, "0.5")
		p.sellPart("GOOG", "USD", 1, "0.25")
	})
	return all
}

func (p *planner) day(monthsAgo int) time.Time { return p.today.AddDate(0, -monthsAgo, -1) }

// buyFor buys for about so much money, in ten-thousandths of a share.
func (p *planner) buyFor(symbol prices.Symbol, currency string, monthsAgo int, money int64) {
	c, ok := p.past.on(symbol, p.day(monthsAgo))
	if !ok || !c.Close.IsPositive() {
		return
	}
	quantity := decimal.NewFromInt(money).DivRound(c.Close, 4)
	if !quantity.IsPositive() {
		return
	}
	p.trade(demoTrade{day: c.Date, kind: "buy", symbol: symbol, currency: currency, quantity: quantity, price: c.Close, fee: "1.00"})
}

// sellPart sells a part of what was bought before that day.
func (p *planner) sellPart(symbol prices.Symbol, currency string, monthsAgo int, part string) {
	c, ok := p.past.on(symbol, p.day(monthsAgo))
	quantity := p.heldOn(symbol, c.Date).Mul(decimal.RequireFromString(part)).Truncate(4)
	if ok && quantity.IsPositive() {
		p.trade(demoTrade{day: c.Date, kind: "sell", symbol: symbol, currency: currency, quantity: quantity, price: c.Close, fee: "1.00"})
	}
}

// dividends pays so much a share every few months.
func (p *planner) dividends(symbol prices.Symbol, currency string, from, every int, perShare string) {
	for months := from; months > 0; months -= every {
		c, ok := p.past.on(symbol, p.day(months))
		amount := p.heldOn(symbol, c.Date).Mul(decimal.RequireFromString(perShare)).Round(2)
		if ok && amount.IsPositive() {
			p.trade(demoTrade{day: c.Date, kind: "dividend", symbol: symbol, currency: currency, amount: amount})
		}
	}
}

func (p *planner) trade(t demoTrade) { p.plan.trades = append(p.plan.trades, t) }

// heldOn is what the trades so far leave of symbol before day.
func (p *planner) heldOn(symbol prices.Symbol, day time.Time) decimal.Decimal {
	var sum decimal.Decimal
	for _, t := range p.plan.trades {
		switch {
		case t.symbol != symbol || !t.day.Before(day):
		case t.kind == "buy":
			sum = sum.Add(t.quantity)
		case t.kind == "sell":
			sum = sum.Sub(t.quantity)
		}
	}
	return sum
}
