package prices

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// kraken speaks version 2 of Kraken's spot WebSocket: ticker, which also has currencies (EUR/USD).
// Prices are JSON numbers. A heartbeat comes every second while something is subscribed.
// Source: docs.kraken.com, spot-websocket-v2/ticker.
type kraken struct{}

const krakenAddress = "wss://ws.kraken.com/v2"

var krakenTerms = terms{budget: 200, perMessage: 50, pace: 500 * time.Millisecond, silence: 10 * time.Second, heartbeats: true}

func (kraken) covers(i Instrument) bool {
	return (i.Kind == KindCrypto || i.Kind == KindFX) && strings.Count(string(i.Symbol), "-") == 1
}

func (kraken) code(s Symbol) string { return strings.Replace(string(s), "-", "/", 1) }

func (kraken) login() bool { return false }

// hello: a ping is answered, so that the first silence is not that of a dead connection.
func (kraken) hello() [][]byte { return [][]byte{[]byte(`{"method":"ping"}`)} }

func (kraken) subscribe(codes []string, on bool) []byte {
	type params struct {
		Channel string   `json:"channel"`
		Symbol  []string `json:"symbol"`
		Trigger string   `json:"event_trigger"`
	}
	m := struct {
		Method string `json:"method"`
		Params params `json:"params"`
	}{"unsubscribe", params{"ticker", codes, "trades"}}
	if on {
		m.Method = "subscribe"
	}
	return encode(m)
}

func (kraken) read(message []byte, w *wire) error {
	head := struct {
		Channel   string          `json:"channel"`
		Method    string          `json:"method"`
		RateError string          `json:"Error"`
		Error     string          `json:"error"`
		Data      json.RawMessage `json:"data"`
	}{}
	if err := json.Unmarshal(message, &head); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	if head.RateError != "" {
		return &throttled{10 * time.Second, "kraken: " + shortened(head.RateError)}
	}
	if head.Channel != "ticker" {
		return nil // heartbeat, status, and what answers a method: an unknown pair is just not quoted
	}
	var data []struct {
		Symbol string      `json:"symbol"`
		Last   json.Number `json:"last"`
		Time   time.Time   `json:"timestamp"`
	}
	if err := json.Unmarshal(head.Data, &data); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	var wrong error
	for _, t := range data {
		if err := w.price(t.Symbol, t.Last.String(), t.Time); err != nil {
			wrong = err
		}
	}
	return wrong
}
