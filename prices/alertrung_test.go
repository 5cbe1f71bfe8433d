package prices

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"
)

func TestATickExactlyAtALevelReachesItAndOneBesideItDoesNot(t *testing.T) {
	book := testBook()
	w := newAlertWatch(book, store{}, newAlertMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	defer book.Listen(w.hear)()
	w.put([]watched{{id: "up", symbol: "BTC-USD", kind: AlertAbove, threshold: price("101"), armed: true}, {id: "down", symbol: "BTC-USD", kind: AlertBelow, threshold: price("99"), armed: true}})
	at := time.Now().Add(-time.Minute)
	trade := func(hundredths int64) int {
		at = at.Add(time.Millisecond)
		book.Apply([]Tick{{"BTC-USD", decimal.New(hundredths, -2), at, "test"}})
		return len(w.due)
	}
	for _, c := range []struct {
		hundredths int64
		reached    int
	}{{100_00, 0}, {100_99, 0}, {99_01, 0}, {101_00, 1}, {105_00, 1}, {99_01, 1}, {99_00, 2}, {90_00, 2}} {
		if n := trade(c.hundredths); n != c.reached {
			t.Fatalf("at %d: %d reached, want %d", c.hundredths, n, c.reached)
		}
	}
	if w.due[0].id != "up" || w.due[1].id != "down" {
		t.Errorf("%+v", w.due)
	}
}
