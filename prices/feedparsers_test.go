package prices

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestECBRatesAreReadTodayAndThePast(t *testing.T) {
	const file = `<?xml version="1.0"?><gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><Cube>` +
		`<Cube time="2026-01-05"><Cube currency="USD" rate="1.0871"/><Cube currency="GBP" rate="N/A"/></Cube>` +
		`<Cube time="2026-01-02"><Cube currency="USD" rate="1.0850"/><Cube currency="JPY" rate="157.1"/></Cube></Cube></gesmes:Envelope>`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, file) }))
	defer server.Close()
	s := runFeed(t, "ecb?url="+server.URL)
	eventually(t, "EUR-USD has its rate", s.costs("EUR-USD", "1.0871"))
	if q, _ := s.Book.Quote("EUR-USD"); !q.At.Equal(utc("2026-01-05 15:00:00")) {
		t.Errorf("set at %s", q.At)
	}
	closes, err := s.feeds[0].(*ecb).History(t.Context())
	if err != nil || len(closes) != 3 {
		t.Errorf("%v %v", closes, err)
	}
	if n := count(s.metrics.malformed.WithLabelValues("ecb")); n != 2 { // once today, once in the past
		t.Errorf("%v malformed", n)
	}
}

// A message of any kind makes no parser panic, and what it reads is a number that a price can be.
func FuzzExchangeMessages(f *testing.F) {
	for _, file := range []string{"coinbase-advanced.json", "kraken-v2.json", "binance-spot.json", "alpaca-iex.json", "finnhub.json"} {
		for _, m := range recorded(f, file) {
			f.Add([]byte(m))
		}
	}
	f.Add([]byte(`[{"T":"t","S":"AAPL","p":1e38,"t":"0001-01-01T00:00:00Z"}]`))
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, p := range []protocol{coinbase{}, kraken{}, binance{}, alpaca{}, finnhub{}} {
			w := testWire(p, "AAPL", "BTC-USD", "EUR-USD", "BNB-BTC", "TSLA")
			_ = p.read(message, w)
			b := testBook()
			b.Apply(w.ticks)
			for _, s := range []Symbol{"AAPL", "BTC-USD", "EUR-USD"} {
				if q, ok := b.Quote(s); ok && (q.Price.Sign() <= 0 || !holds(q.Price)) {
					t.Fatalf("%q was believed: %v", message, q)
				}
			}
		}
		_, _, _ = readECB(message)
	})
}
