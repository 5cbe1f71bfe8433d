package prices

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

const ecbFile = `<?xml version="1.0"?><gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><Cube>` +
	`<Cube time="2026-01-05"><Cube currency="USD" rate="1.0871"/><Cube currency="GBP" rate="N/A"/></Cube>` +
	`<Cube time="2026-01-02"><Cube currency="USD" rate="1.0850"/><Cube currency="JPY" rate="157.1"/></Cube></Cube></gesmes:Envelope>`

func TestECBRatesAreReadTodayAndThePast(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, ecbFile) }))
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
func FuzzCoinbase(f *testing.F) { fuzzExchange(f, coinbase{}, "coinbase-advanced.json") }
func FuzzKraken(f *testing.F)   { fuzzExchange(f, kraken{}, "kraken-v2.json") }
func FuzzBinance(f *testing.F)  { fuzzExchange(f, binance{}, "binance-spot.json") }
func FuzzAlpaca(f *testing.F)   { fuzzExchange(f, alpaca{}, "alpaca-iex.json") }
func FuzzFinnhub(f *testing.F)  { fuzzExchange(f, finnhub{}, "finnhub.json") }

func fuzzExchange(f *testing.F, p protocol, file string) {
	for _, m := range recorded(f, file) {
		f.Add([]byte(m))
	}
	f.Add([]byte(`[{"T":"t","S":"AAPL","p":1e38,"t":"0001-01-01T00:00:00Z"}]`))
	f.Add([]byte(`{"candles":[{"start":"1712192400","low":"66055.14","high":"66331.99","open":"66312.4","close":"66181.6"}]}`))
	f.Add([]byte(`{"error":[],"result":{"XXBTZUSD":[[1712192400,"66312.4","66331.99","66055.14","66181.6","1","1",1]],"last":1}}`))
	f.Add([]byte(`[[1712192400000,"66312.4","66331.99","66055.14","66181.6","1",1712195999999]]`))
	hour, _ := spanOf("1h")
	f.Fuzz(func(t *testing.T, message []byte) {
		w := testWire(p, "AAPL", "BTC-USD", "EUR-USD", "BNB-BTC", "TSLA")
		_ = p.read(message, w)
		b := testBook()
		b.Apply(w.ticks)
		for _, s := range []Symbol{"AAPL", "BTC-USD", "EUR-USD"} {
			if q, ok := b.Quote(s); ok && (q.Price.Sign() <= 0 || !holds(q.Price)) {
				t.Fatalf("%q was believed: %v", message, q)
			}
		}
		if c, ok := p.(chronicle); ok {
			page, _ := c.readPast(message)
			from := time.Unix(1712188800, 0)
			all, _ := believedCandles(page, "BTC-USD", hour, from, from.Add(24*time.Hour), "fuzz")
			for _, m := range all {
				if m.low.Sign() <= 0 || m.high.LessThan(m.low) || !holds(m.high) || !holds(m.low) || m.start.Before(from) {
					t.Fatalf("%q was believed: %+v", message, m)
				}
			}
		}
	})
}

func FuzzECB(f *testing.F) {
	f.Add([]byte(ecbFile))
	f.Fuzz(func(t *testing.T, message []byte) {
		days, _, _ := readECB(message)
		for _, d := range days {
			for _, tick := range d.ticks() {
				if tick.Price.Sign() <= 0 || !holds(tick.Price) {
					t.Fatalf("%q was believed: %v", message, tick)
				}
			}
		}
	})
}
