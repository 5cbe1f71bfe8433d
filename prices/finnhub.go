package prices

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// finnhub speaks Finnhub's trades stream: US shares, and symbols with a venue such as BINANCE:BTCUSDT.
// The key is part of the address. A message has many trades; the last of each symbol counts.
// Source: finnhub.io websocket trades, as recorded in public clients.
type finnhub struct{}

const finnhubAddress = "wss://ws.finnhub.io"

// finnhubTerms: 50 symbols for free is common knowledge, not documented; each is one message.
var finnhubTerms = terms{budget: 50, perMessage: 1, pace: 50 * time.Millisecond, silence: 90 * time.Second}

func (finnhub) covers(i Instrument) bool {
	return (i.Kind == KindEquity || i.Kind == KindETF) && i.Currency == "USD" || strings.HasPrefix(string(i.Symbol), "BINANCE:")
}

func (finnhub) code(s Symbol) string { return string(s) }

func (finnhub) login() bool { return false }

func (finnhub) hello() [][]byte { return nil }

func (finnhub) subscribe(codes []string, on bool) []byte {
	m := map[string]string{"type": "unsubscribe", "symbol": codes[0]}
	if on {
		m["type"] = "subscribe"
	}
	return encode(m)
}

func (finnhub) read(message []byte, w *wire) error {
	var m struct {
		Type    string `json:"type"`
		Message string `json:"msg"`
		Data    []struct {
			Symbol string      `json:"s"`
			Price  json.Number `json:"p"`
			Time   int64       `json:"t"` // Unix milliseconds
		} `json:"data"`
	}
	if err := json.Unmarshal(message, &m); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	if m.Type == "error" {
		return &throttled{time.Minute, "finnhub: " + shortened(m.Message)}
	}
	var wrong error
	for _, t := range m.Data {
		if err := w.price(t.Symbol, t.Price.String(), time.UnixMilli(t.Time)); err != nil {
			wrong = err
		}
	}
	return wrong
}

// withToken is the address with the key in it.
func withToken(address, key string) string { return address + "?token=" + url.QueryEscape(key) }
