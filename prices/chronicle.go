package prices

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// chronicle is an exchange that answers over HTTP what prices did in the past.
type chronicle interface {
	past() pastTerms
	// pastPath asks for the candles of s that begin in [from, to); that are no more than fit in one answer.
	pastPath(s Symbol, p span, from, to time.Time) string
	// readPast reads an answer. What of it lies outside of what was asked for is left out by others.
	readPast(body []byte) ([]pastCandle, error)
}

// pastTerms are what an exchange allows those who ask for the past.
type pastTerms struct {
	address string
	page    int           // candles in one answer
	pace    time.Duration // least time between two questions
}

// pastCandle is a candle as an exchange writes it, not yet believed. One without a start could not be read.
type pastCandle struct {
	start                  time.Time
	open, high, low, close string
}

// chronicler asks one exchange about the past.
type chronicler struct {
	chronicle
	name, address string
	log           *slog.Logger
}

// triesPerPage: who is told to wait so often has asked for too much.
const triesPerPage = 5

// candles are those of s that begin in [from, to) and are over, oldest first, and how many more were no candles.
func (c chronicler) candles(ctx context.Context, s Symbol, p span, from, to time.Time) (all []ohlc, skipped int, err error) {
	terms := c.past()
	for from.Before(to) {
		end := from.Add(time.Duration(terms.page) * p.long)
		if end.After(to) {
			end = to
		}
		page, err := c.ask(ctx, c.address+c.pastPath(s, p, from, end))
		if err != nil {
			return nil, skipped, err
		}
		good, wrong := believedCandles(page, s, p, from, end, c.name)
		all, skipped = append(all, good...), skipped+wrong
		if from = end; from.Before(to) && sleep(ctx, terms.pace) != nil {
			return nil, skipped, ctx.Err()
		}
	}
	return all, skipped, nil
}

// ask has patience where the exchange asks for it, and more each time.
func (c chronicler) ask(ctx context.Context, address string) ([]pastCandle, error) {
	for try := 1; ; try++ {
		body, err := fetch(ctx, c.name, address, c.past().pace)
		var page []pastCandle
		if err == nil {
			page, err = c.readPast(body)
		}
		wants, throttled := errors.AsType[*throttled](err)
		if !throttled || try == triesPerPage {
			return page, err
		}
		wait := wants.after << (try - 1)
		c.log.Warn("prices: the exchange wants to be left alone", "exchange", c.name, "for", wait, "why", err)
		if sleep(ctx, wait) != nil {
			return nil, ctx.Err()
		}
	}
}

// believedCandles are the candles of a page that can be true and lie in [from, to), oldest first. One that is under way is
// not among them: it will look otherwise when it is over.
func believedCandles(page []pastCandle, s Symbol, p span, from, to time.Time, source string) (all []ohlc, skipped int) {
	byStart := map[int64]ohlc{}
	for _, raw := range page {
		if raw.start.IsZero() {
			skipped++
			continue
		}
		if raw.start.Before(from) || !raw.start.Before(to) || raw.start.Add(p.long).After(time.Now()) {
			continue
		}
		c := ohlc{symbol: s, start: raw.start.UTC(), session: dayOf(raw.start.UTC()), source: source}
		if c.read(raw) != nil || !raw.start.Equal(raw.start.Truncate(p.long)) {
			skipped++
			continue
		}
		byStart[raw.start.Unix()] = c
	}
	for at := from.Truncate(p.long); at.Before(to); at = at.Add(p.long) {
		if c, ok := byStart[at.Unix()]; ok {
			all = append(all, c)
		}
	}
	return all, skipped
}

var errNoCandle = errors.New("open and close do not lie between low and high")

// read takes over what raw says.
func (m *ohlc) read(raw pastCandle) error {
	for _, f := range []struct {
		text string
		into *decimal.Decimal
	}{{raw.open, &m.open}, {raw.high, &m.high}, {raw.low, &m.low}, {raw.close, &m.close}} {
		d, err := parseNumber(f.text)
		if err != nil {
			return err
		}
		if _, holdable := measured(d); !holdable || d.Sign() <= 0 {
			return errNotNumber
		}
		*f.into = d
	}
	if m.high.LessThan(decimal.Max(m.open, m.close)) || m.low.GreaterThan(decimal.Min(m.open, m.close)) {
		return errNoCandle
	}
	return nil
}

// exchangeError is what an exchange says in the body of an answer that is otherwise fine.
func exchangeError(name string, texts []string) error {
	text := name + ": " + shortened(strings.Join(texts, ", "))
	if strings.Contains(text, "Too many requests") || strings.Contains(text, "Rate limit") {
		return &throttled{5 * time.Second, text}
	}
	return errors.New(text)
}

func (x *exchange) chronicler(log *slog.Logger) (chronicler, error) {
	c, ok := x.protocol.(chronicle)
	if !ok {
		return chronicler{}, fmt.Errorf("%s answers nothing about the past without a paid plan", x.name)
	}
	return chronicler{c, x.name, x.history, log}, nil
}
