package prices

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// coinbase speaks the public channels of Coinbase Advanced Trade: ticker and heartbeats. Each message
// of a connection has the next sequence number. Prices are strings; the change that it reports is over
// a rolling day, so it is not used.
// Source: docs.cdp.coinbase.com, advanced-trade websocket-channels and websocket-rate-limits.
type coinbase struct{}

const coinbaseAddress = "wss://advanced-trade-ws.coinbase.com"

// 8 messages a second without a key; most channels close after 60 to 90 s without updates, hence the heartbeats.
var coinbaseTerms = terms{budget: 200, perMessage: 50, pace: 150 * time.Millisecond, silence: 10 * time.Second, heartbeats: true}

// covers coins. A -USDC product answers under the name of -USD, so it would report for another symbol.
func (coinbase) covers(i Instrument) bool {
	return i.Kind == KindCrypto && strings.Contains(string(i.Symbol), "-") && !strings.HasSuffix(string(i.Symbol), "-USDC")
}

func (coinbase) code(s Symbol) string { return string(s) }

func (coinbase) login() bool { return false }

func (coinbase) hello() [][]byte {
	return [][]byte{[]byte(`{"type":"subscribe","channel":"heartbeats"}`)}
}

func (coinbase) subscribe(codes []string, on bool) []byte {
	m := struct {
		Type     string   `json:"type"`
		Products []string `json:"product_ids"`
		Channel  string   `json:"channel"`
	}{"unsubscribe", codes, "ticker"}
	if on {
		m.Type = "subscribe"
	}
	return encode(m)
}

type coinbaseMessage struct {
	Type      string    `json:"type"` // "error" only
	Message   string    `json:"message"`
	Channel   string    `json:"channel"`
	Timestamp time.Time `json:"timestamp"`
	Sequence  *int64    `json:"sequence_num"`
	Events    []struct {
		Tickers []struct {
			Product string `json:"product_id"`
			Price   string `json:"price"`
		} `json:"tickers"`
	} `json:"events"`
}

func (coinbase) read(message []byte, w *wire) error {
	var m coinbaseMessage
	if err := json.Unmarshal(message, &m); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	if m.Type == "error" {
		return &throttled{10 * time.Second, "coinbase: " + shortened(m.Message)}
	}
	if m.Sequence == nil {
		return errMalformed
	}
	gap := w.sequence >= 0 && *m.Sequence != w.sequence+1
	w.sequence = *m.Sequence
	var wrong error
	for _, e := range m.Events {
		for _, t := range e.Tickers {
			if err := w.price(t.Product, t.Price, m.Timestamp); err != nil {
				wrong = err
			}
		}
	}
	if gap {
		return errGap
	}
	return wrong
}

func (coinbase) past() pastTerms {
	return pastTerms{address: "https://api.coinbase.com", page: 300, pace: 150 * time.Millisecond} // 10 questions a second, 350 candles
}

// pastPath: the end is part of what is answered.
// Source: docs.cdp.coinbase.com, get-public-product-candles.
func (c coinbase) pastPath(s Symbol, p span, from, to time.Time) string {
	names := map[string]string{"1m": "ONE_MINUTE", "5m": "FIVE_MINUTE", "1h": "ONE_HOUR", "1d": "ONE_DAY"}
	return fmt.Sprintf("/api/v3/brokerage/market/products/%s/candles?start=%d&end=%d&granularity=%s&limit=300", url.PathEscape(c.code(s)), from.Unix(), to.Unix()-1, names[p.name])
}

func (coinbase) readPast(body []byte) ([]pastCandle, error) {
	var m struct {
		Candles []struct {
			Start string `json:"start"` // Unix seconds
			Low   string `json:"low"`
			High  string `json:"high"`
			Open  string `json:"open"`
			Close string `json:"close"`
		} `json:"candles"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("coinbase: %w: %w", errMalformed, err)
	}
	all := make([]pastCandle, len(m.Candles))
	for i, c := range m.Candles {
		if seconds, err := strconv.ParseInt(c.Start, 10, 64); err == nil {
			all[i] = pastCandle{time.Unix(seconds, 0), c.Open, c.High, c.Low, c.Close}
		}
	}
	return all, nil
}

// encode is for messages of ours, which always encode.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// shortened bounds what of an exchange's text reaches our log.
func shortened(s string) string { return strings.ToValidUTF8(s[:min(len(s), 200)], "") }
