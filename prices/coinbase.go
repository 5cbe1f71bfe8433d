package prices

import (
	"encoding/json"
	"fmt"
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
