package hub

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/prices"
)

func TestASnapshotSaysWhereAPriceComesFromAndHowFarItIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{})
		quote := func(n uint64, source string) {
			h.hub.tick([]prices.Quote{{Symbol: "EUR-USD", Price: decimal.RequireFromString("1.0871"), At: time.Now(), N: n, Source: source}})
		}
		quote(1, "kraken")
		quote(2, "ecb")
		c := h.dial("ana")
		c.next("welcome")
		c.send(`{"id":1,"type":"subscribe","channel":"prices","symbols":["EUR-USD"]}`)
		c.next("subscribed")
		first := c.next("prices")["updates"].([]any)[0].(message)
		if first["source"] != "ecb" || first["delay_ms"] != float64(24*time.Hour.Milliseconds()) || first["p"] != "1.0871" {
			t.Errorf("snapshot %v", first)
		}
		quote(3, "kraken")
		if next := c.next("prices")["updates"].([]any)[0].(message); next["source"] != nil || next["n"] != 3.0 {
			t.Errorf("update %v", next)
		}
	})
}
