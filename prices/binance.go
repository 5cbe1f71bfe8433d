package prices

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// binance speaks Binance's market streams: a mini ticker a second and symbol. Names of streams are in
// lower case, symbols in messages in upper case and without a separator.
// Source: binance-spot-api-docs, web-socket-streams.md.
type binance struct{}

const binanceAddress = "wss://data-stream.binance.vision/ws"

// 5 messages a second come in, 1024 streams fit in a connection; a ping comes every 20 s, which the socket
// library answers. A connection lives 24 h.
var binanceTerms = terms{budget: 1000, perMessage: 100, pace: 250 * time.Millisecond, silence: 30 * time.Second}

// covers coins against what Binance quotes them in; it has no US dollar.
func (binance) covers(i Instrument) bool {
	base, quote, ok := strings.Cut(string(i.Symbol), "-")
	return i.Kind == KindCrypto && ok && base != "" && quote != "" && quote != "USD" && !strings.ContainsAny(quote, "-:/")
}

func (binance) code(s Symbol) string { return strings.Replace(string(s), "-", "", 1) }

func (binance) login() bool { return false }

func (binance) hello() [][]byte { return nil }

func (binance) subscribe(codes []string, on bool) []byte {
	m := struct {
		Method string   `json:"method"`
		Params []string `json:"params"`
		ID     int64    `json:"id"`
	}{Method: "UNSUBSCRIBE", ID: 1}
	if on {
		m.Method = "SUBSCRIBE"
	}
	for _, c := range codes {
		m.Params = append(m.Params, strings.ToLower(c)+"@miniTicker")
	}
	return encode(m)
}

func (binance) read(message []byte, w *wire) error {
	// Both cases of a letter are named, or the decoder would take one for the other.
	var m struct {
		Event  string          `json:"e"`
		Time   int64           `json:"E"`
		Symbol string          `json:"s"`
		Close  json.RawMessage `json:"c"`
		Price  json.RawMessage `json:"p"`
		Error  *struct {
			Code    int    `json:"code"`
			Message string `json:"msg"`
		} `json:"error"`
	}
	if err := json.Unmarshal(message, &m); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	switch {
	case m.Error != nil:
		return &throttled{10 * time.Second, fmt.Sprintf("binance: %d %s", m.Error.Code, shortened(m.Error.Message))}
	case m.Event == "serverShutdown":
		return errShutdown
	case m.Event == "24hrMiniTicker":
		return w.quoted(m.Symbol, m.Close, time.UnixMilli(m.Time))
	case m.Event == "trade":
		return w.quoted(m.Symbol, m.Price, time.UnixMilli(m.Time))
	default:
		return nil
	}
}

// quoted is price for a JSON string.
func (w *wire) quoted(code string, text json.RawMessage, at time.Time) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("%w: price of %s", errMalformed, shortened(code))
	}
	return w.price(code, s, at)
}

// past: a question of 1000 candles weighs 2 of 6000 a minute.
func (binance) past() pastTerms {
	return pastTerms{address: "https://data-api.binance.vision", page: 1000, pace: 100 * time.Millisecond}
}

// pastPath: the end is part of what is answered.
// Source: binance-spot-api-docs, rest-api.md, klines.
func (b binance) pastPath(s Symbol, p span, from, to time.Time) string {
	return fmt.Sprintf("/api/v3/klines?symbol=%s&interval=%s&startTime=%d&endTime=%d&limit=1000", url.QueryEscape(b.code(s)), p.name, from.UnixMilli(), to.UnixMilli()-1)
}

func (binance) readPast(body []byte) ([]pastCandle, error) {
	all, err := pastRows(body, time.Millisecond)
	if err != nil {
		return nil, fmt.Errorf("binance: %w", err)
	}
	return all, nil
}
