package prices

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
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

// past: one question a second; of the past only the newest 720 candles are answered, whatever is asked for.
func (kraken) past() pastTerms {
	return pastTerms{address: "https://api.kraken.com", page: 720, pace: time.Second}
}

// pastPath: HTTP still calls two coins otherwise than the socket does, and answers what begins after since.
// Source: docs.kraken.com, rest-api/get-ohlc-data and guides, historical-data.
func (kraken) pastPath(s Symbol, p span, from, _ time.Time) string {
	base, quote, _ := strings.Cut(string(s), "-")
	name := func(c string) string {
		if old, ok := map[string]string{"BTC": "XBT", "DOGE": "XDG"}[c]; ok {
			return old
		}
		return c
	}
	return fmt.Sprintf("/0/public/OHLC?pair=%s&interval=%d&since=%d", url.QueryEscape(name(base)+name(quote)), p.long/time.Minute, from.Unix()-1)
}

// readPast: the result has the candles under a name of the exchange's own, beside "last".
func (kraken) readPast(body []byte) ([]pastCandle, error) {
	var m struct {
		Error  []string                   `json:"error"`
		Result map[string]json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("kraken: %w: %w", errMalformed, err)
	}
	if len(m.Error) > 0 {
		return nil, exchangeError("kraken", m.Error)
	}
	delete(m.Result, "last")
	var all []pastCandle
	for _, rows := range m.Result {
		page, err := pastRows(rows, time.Second)
		if err != nil {
			return nil, fmt.Errorf("kraken: %w", err)
		}
		all = append(all, page...)
	}
	return all, nil
}

// pastRows reads [[time, open, high, low, close, …], …]; unit is that of time.
func pastRows(text []byte, unit time.Duration) ([]pastCandle, error) {
	var rows [][]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&rows); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	all := make([]pastCandle, len(rows))
	for i, row := range rows {
		if len(row) < 5 {
			continue // it stays without a start, and is counted as none
		}
		at, _ := row[0].(json.Number)
		text := func(i int) string { s, _ := row[i].(string); return s }
		if n, err := at.Int64(); err == nil {
			all[i] = pastCandle{time.UnixMilli(n * unit.Milliseconds()), text(1), text(2), text(3), text(4)}
		}
	}
	return all, nil
}
