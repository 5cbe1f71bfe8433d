package hub

import (
	"testing"

	"rosetree/prices"
)

func TestUpdatesThatANewerOneOvertookAreCounted(t *testing.T) {
	moving, still := &ticker{symbol: "AAPL"}, &ticker{symbol: "MSFT"}
	moving.offer(prices.Quote{Symbol: "AAPL", N: 7})
	still.offer(prices.Quote{Symbol: "MSFT", N: 3})
	p := priceSlots{slots: []slot{{ticker: moving, sent: 3}, {ticker: still}}, gates: make([]gate, 1)}
	if _, sent, _, _ := p.appendUpdates(nil, 0); sent != 2 || p.overtaken != 3 {
		t.Errorf("%d updates sent, %d overtaken, want 2 and 3", sent, p.overtaken)
	}
}
