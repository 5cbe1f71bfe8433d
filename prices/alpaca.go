package prices

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// alpaca speaks Alpaca's market data stream of IEX: US shares, thirty at a time for free. Every frame
// is an array; what is subscribed counts only after "authenticated".
// Source: alpaca-docs, stock-pricing-data/realtime.md.
type alpaca struct{ key, secret string }

const alpacaAddress = "wss://stream.data.alpaca.markets/v2/iex"

var alpacaTerms = terms{budget: 30, perMessage: 30, pace: 100 * time.Millisecond, silence: 30 * time.Second}

func (alpaca) covers(i Instrument) bool {
	return (i.Kind == KindEquity || i.Kind == KindETF) && i.Currency == "USD"
}

func (alpaca) code(s Symbol) string { return string(s) }

func (alpaca) login() bool { return true }

func (a alpaca) hello() [][]byte {
	return [][]byte{encode(map[string]string{"action": "auth", "key": a.key, "secret": a.secret})}
}

func (alpaca) subscribe(codes []string, on bool) []byte {
	m := struct {
		Action string   `json:"action"`
		Trades []string `json:"trades"`
	}{"unsubscribe", codes}
	if on {
		m.Action = "subscribe"
	}
	return encode(m)
}

type alpacaMessage struct {
	Type       string      `json:"T"`
	Text       string      `json:"msg"`
	Code       int         `json:"code"`
	Symbol     string      `json:"S"`
	Size       json.Number `json:"s"` // named, or the decoder would take it for the symbol
	Price      json.Number `json:"p"`
	Time       time.Time   `json:"t"`
	Conditions []string    `json:"c"`
}

func (alpaca) read(message []byte, w *wire) error {
	var frames []json.RawMessage
	if err := json.Unmarshal(message, &frames); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	var wrong error
	for _, frame := range frames {
		if err := readAlpaca(frame, w); err != nil {
			if !errors.Is(err, errMalformed) {
				return err
			}
			wrong = err
		}
	}
	return wrong
}

func readAlpaca(frame json.RawMessage, w *wire) error {
	var head struct {
		Type string `json:"T"`
		Time any    `json:"t"` // named, or the decoder would take it for the type
	}
	if err := json.Unmarshal(frame, &head); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	switch head.Type {
	case "t", "success", "error":
	default:
		return nil // bars, status, the list of what is subscribed
	}
	var m alpacaMessage
	if err := json.Unmarshal(frame, &m); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	switch {
	case m.Type == "error":
		return alpacaError(m)
	case m.Type == "success":
		if m.Text == "authenticated" {
			w.ready.Store(true)
		}
		return nil
	case slices.Contains(m.Conditions, "I"):
		return nil // an odd lot must not set the last price
	default:
		return w.price(m.Symbol, m.Price.String(), m.Time)
	}
}

// alpacaError: 405 too many symbols, 406 too many connections, 407 slow client, 40x the key is wrong.
func alpacaError(m alpacaMessage) error {
	why := fmt.Sprintf("alpaca: %d %s", m.Code, shortened(m.Text))
	switch m.Code {
	case 405:
		return errBudget
	case 407:
		return errors.New(why)
	case 406:
		return &throttled{30 * time.Second, why}
	default:
		return &throttled{5 * time.Minute, why}
	}
}
