package prices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
)

// recorded are the messages that an exchange's documentation shows.
func recorded(t testing.TB, file string) []json.RawMessage {
	t.Helper()
	content, err := os.ReadFile("testdata/feeds/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Server []json.RawMessage }
	if err := json.Unmarshal(content, &f); err != nil {
		t.Fatal(err)
	}
	return f.Server
}

// testWire knows the symbols that the recordings use.
func testWire(p protocol, symbols ...Symbol) *wire {
	w := &wire{source: "test", sequence: -1, now: time.Now()}
	names := map[string]Symbol{}
	for _, s := range symbols {
		names[p.code(s)] = s
	}
	w.symbols.Store(&names)
	return w
}

func TestRecordedMessagesAreReadAsTheyAreMeant(t *testing.T) {
	for _, c := range []struct {
		file     string
		protocol protocol
		symbols  []Symbol
		want     []string // tick or error, per message
	}{
		{"coinbase-advanced.json", coinbase{}, []Symbol{"BTC-USD"}, []string{
			"BTC-USD 91250.5 2026-01-05T14:30:03Z", "BTC-USD 91260 2026-01-05T14:30:04Z messages are missing", ""}},
		{"kraken-v2.json", kraken{}, []Symbol{"BTC-USD", "EUR-USD"}, []string{
			"", "BTC-USD 91244.3 2026-01-05T14:30:00.123456Z", "EUR-USD 1.08715 2026-01-05T14:30:01Z", ""}},
		{"binance-spot.json", binance{}, []Symbol{"BNB-BTC"}, []string{
			"", "BNB-BTC 0.0025 2022-12-31T19:43:02.136Z", "BNB-BTC 0.001 2022-12-31T19:43:02.136Z", "the exchange restarts"}},
		{"alpaca-iex.json", alpaca{}, []Symbol{"AAPL"}, []string{
			"", "", "", "", "", "", "too many symbols for the exchange", "alpaca: 406 connection limit exceeded"}}, // the trade is an odd lot
		{"finnhub.json", finnhub{}, []Symbol{"AAPL", "TSLA"}, []string{
			"TSLA 122.1 2022-12-29T21:21:27.195Z AAPL 129.575 2022-12-29T21:21:27.785Z", ""}},
	} {
		w := testWire(c.protocol, c.symbols...)
		for i, message := range recorded(t, c.file) {
			w.ticks = nil
			err := c.protocol.read(message, w)
			var got []string
			for _, x := range w.ticks {
				got = append(got, fmt.Sprintf("%s %s %s", x.Symbol, x.Price, x.At.UTC().Format(time.RFC3339Nano)))
			}
			if err != nil {
				got = append(got, err.Error())
			}
			if text := strings.Join(got, " "); text != c.want[i] {
				t.Errorf("%s message %d: %q, not %q", c.file, i, text, c.want[i])
			}
		}
		if c.file == "alpaca-iex.json" && !w.ready.Load() {
			t.Error("alpaca: authenticated was not seen")
		}
	}
}

func TestAnOddLotSetsNoPriceAndARoundLotDoes(t *testing.T) {
	w := testWire(alpaca{}, "AAPL")
	for conditions, want := range map[string]int{`["@"]`: 1, `["@","I"]`: 0} {
		w.ticks = nil
		if err := (alpaca{}).read([]byte(`[{"T":"t","S":"AAPL","p":126.55,"s":1,"t":"2021-02-22T15:51:44.208Z","c":`+conditions+`}]`), w); err != nil || len(w.ticks) != want {
			t.Errorf("%s: %v %v", conditions, w.ticks, err)
		}
	}
}

// venue is a local server that speaks an exchange's protocol.
type venue struct {
	*httptest.Server
	mu       sync.Mutex
	received []string
	visits   int
}

// newVenue serves each connection by visit, which is told the how-manieth it is.
func newVenue(t testing.TB, visit func(v *venue, n int, conn *websocket.Conn)) *venue {
	v := &venue{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow() //nolint:errcheck // the test is over or the visit wanted it
		v.mu.Lock()
		v.visits++
		n := v.visits
		v.mu.Unlock()
		visit(v, n, conn)
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *venue) address() string { return "ws" + strings.TrimPrefix(v.URL, "http") }

// hear waits for a message that contains text.
func (v *venue) hear(conn *websocket.Conn, text string) bool {
	for {
		_, m, err := conn.Read(context.Background())
		if err != nil {
			return false
		}
		v.mu.Lock()
		v.received = append(v.received, string(m))
		v.mu.Unlock()
		if strings.Contains(string(m), text) {
			return true
		}
	}
}

func say(conn *websocket.Conn, messages ...string) {
	for _, m := range messages {
		if conn.Write(context.Background(), websocket.MessageText, []byte(m)) != nil {
			return
		}
	}
}

// stay keeps reading until the client leaves.
func (v *venue) stay(conn *websocket.Conn) { v.hear(conn, "\x00never\x00") }

// runFeed runs the feeds of spec into a book until the test ends.
func runFeed(t testing.TB, spec string, instruments ...Instrument) *Service {
	t.Helper()
	return runFeedFor(t, &looks{}, spec, instruments...)
}

// looks are what users look at and hold.
type looks struct {
	mu             sync.Mutex
	onScreen, held []Symbol
	asked          int
}

func (l *looks) screen() []Symbol {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	return l.onScreen
}

func (l *looks) set(onScreen, held []Symbol) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onScreen, l.held = onScreen, held
}

func runFeedFor(t testing.TB, l *looks, spec string, instruments ...Instrument) *Service {
	t.Helper()
	var cfg Config
	if err := cfg.Feeds.UnmarshalText([]byte(spec)); err != nil {
		t.Fatal(err)
	}
	cfg.AlpacaKey, cfg.AlpacaSecret, cfg.FinnhubKey = "id", "very-secret", "very-secret"
	s, err := New(cfg, nil, nil, nil, slog.New(slog.NewTextHandler(t.Output(), nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s.Book.Define(instruments...)
	s.FollowDemand(l.screen, func() []Symbol { l.mu.Lock(); defer l.mu.Unlock(); return l.held })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f := s.feeds[0]
		s.again(ctx, f.Name(), func() error { return s.play(ctx, f) })
	}()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// eventually waits until ok or the test fails.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func (s *Service) costs(symbol Symbol, text string) func() bool {
	return func() bool { q, ok := s.Book.Quote(symbol); return ok && q.Price.Equal(price(text)) }
}

func krakenTick(symbol, last string, at time.Time) string {
	return fmt.Sprintf(`{"channel":"ticker","type":"update","data":[{"symbol":%q,"last":%s,"timestamp":%q}]}`, symbol, last, at.UTC().Format(time.RFC3339Nano))
}

func TestOnlyWhatSomebodyWantsIsSubscribedAndGivenUpAfterwards(t *testing.T) {
	var left sync.WaitGroup
	left.Add(1)
	v := newVenue(t, func(v *venue, n int, conn *websocket.Conn) {
		if !v.hear(conn, `"subscribe"`) {
			return
		}
		say(conn, krakenTick("EUR/USD", "1.08715", time.Now()))
		if v.hear(conn, `"BTC/USD"`) {
			say(conn, krakenTick("BTC/USD", "91244.3", time.Now()))
		}
		v.hear(conn, `"unsubscribe"`)
		v.stay(conn)
		left.Done()
	})
	looks := &looks{}
	s := runFeedFor(t, looks, "kraken?url="+v.address())
	eventually(t, "the feed has looked a few times", func() bool { looks.mu.Lock(); defer looks.mu.Unlock(); return looks.asked > 3 })
	if v.mu.Lock(); v.visits != 0 {
		t.Error("connected although nobody wants anything")
	}
	v.mu.Unlock()
	looks.set([]Symbol{"EUR-USD"}, nil)
	eventually(t, "EUR-USD has its price", s.costs("EUR-USD", "1.08715"))
	looks.set([]Symbol{"EUR-USD"}, []Symbol{"BTC-USD"})
	eventually(t, "BTC-USD has its price", s.costs("BTC-USD", "91244.3"))
	looks.set(nil, nil)
	left.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	all := strings.Join(v.received, "\n")
	if strings.Contains(all, "ETH/USD") || !strings.Contains(all, `"symbol":["EUR/USD"]`) {
		t.Errorf("the exchange heard:\n%s", all)
	}
}

func TestTheBudgetGoesToWhatIsOnScreenFirst(t *testing.T) {
	var held []Symbol
	for i := range 40 {
		held = append(held, Symbol(fmt.Sprintf("A%02d", i)))
	}
	d := &demand{onScreen: func() []Symbol { return []Symbol{"NOT-COVERED", "ZZZ"} }, held: func() []Symbol { return held }}
	got := d.wanted(30, func(s Symbol) bool { return s != "NOT-COVERED" })
	if len(got) != 30 || got[0] != "ZZZ" || slices.Contains(got, "A29") || !slices.Contains(got, "A28") {
		t.Errorf("%v", got)
	}
}

// The faults that an exchange and the way to it have. After each the feed is back with a new price.
func TestAfterAFaultTheFeedConnectsAgain(t *testing.T) {
	defer func(terms terms) { krakenTerms = terms }(krakenTerms)
	krakenTerms.silence, krakenTerms.pace = 400*time.Millisecond, time.Millisecond
	for name, fault := range map[string]func(conn *websocket.Conn, raw net.Conn){
		"silence":           func(conn *websocket.Conn, _ net.Conn) { _, _, _ = conn.Read(context.Background()) },
		"forced disconnect": func(_ *websocket.Conn, raw net.Conn) { raw.Close() },
		"half a frame": func(_ *websocket.Conn, raw net.Conn) {
			_, _ = raw.Write([]byte{0x81, 0x7e, 0x01, 0x00, '{', '"'})
			raw.Close()
		},
		"a proper close": func(conn *websocket.Conn, _ net.Conn) { conn.Close(websocket.StatusGoingAway, "bye") },
		"a huge frame":   func(_ *websocket.Conn, raw net.Conn) { _, _ = raw.Write([]byte{0x81, 0x7f, 0, 0, 1, 0, 0, 0, 0, 0}) },
	} {
		t.Run(name, func(t *testing.T) {
			var raws raws
			v := &venue{}
			v.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, err := websocket.Accept(w, r, nil)
				if err != nil {
					return
				}
				defer conn.CloseNow() //nolint:errcheck // the fault may have closed it
				v.hear(conn, `"subscribe"`)
				if n := raws.count(); n == 1 {
					say(conn, krakenTick("EUR/USD", "1.1", time.Now()))
					fault(conn, raws.last())
				} else {
					say(conn, krakenTick("EUR/USD", "1.2", time.Now()), krakenTick("EUR/USD", "1.2", time.Now().Add(time.Millisecond)))
					v.stay(conn)
				}
			}))
			v.Config.ConnState = raws.seen
			v.Start()
			t.Cleanup(v.Close)
			s := runFeed(t, "kraken?symbols=EUR-USD&url="+v.address())
			eventually(t, "the second connection's price", s.costs("EUR-USD", "1.2"))
		})
	}
}

// raws are the server's connections below the WebSocket.
type raws struct {
	mu  sync.Mutex
	all []net.Conn
}

func (r *raws) seen(c net.Conn, state http.ConnState) {
	if state == http.StateNew {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all = append(r.all, c)
	}
}
func (r *raws) count() int     { r.mu.Lock(); defer r.mu.Unlock(); return len(r.all) }
func (r *raws) last() net.Conn { r.mu.Lock(); defer r.mu.Unlock(); return r.all[len(r.all)-1] }

func TestAGapInTheSequenceMakesANewConnection(t *testing.T) {
	v := newVenue(t, func(v *venue, n int, conn *websocket.Conn) {
		v.hear(conn, `"ticker"`)
		now := time.Now()
		message := func(sequence int, p string) string {
			now = now.Add(time.Millisecond)
			return fmt.Sprintf(`{"channel":"ticker","timestamp":%q,"sequence_num":%d,"events":[{"type":"update","tickers":[{"product_id":"BTC-USD","price":%q}]}]}`,
				now.UTC().Format(time.RFC3339Nano), sequence, p)
		}
		if n == 1 {
			say(conn, message(0, "100"), message(2, "101"))
		} else {
			say(conn, message(0, "102"))
		}
		v.stay(conn)
	})
	s := runFeed(t, "coinbase?symbols=BTC-USD&url="+v.address())
	eventually(t, "the price of the second connection", s.costs("BTC-USD", "102"))
}

func TestAMalformedMessageIsCountedAndSkipped(t *testing.T) {
	v := newVenue(t, func(v *venue, n int, conn *websocket.Conn) {
		v.hear(conn, `"subscribe"`)
		say(conn, `{"channel":"ticker","data":[`, `[]`, `{"channel":"ticker","data":{"symbol":1}}`, "\xff\xfe",
			krakenTick("EUR/USD", "null", time.Now()), `{"channel":"ticker","data":[{"symbol":"EUR/USD","last":"NaN"}]}`,
			krakenTick("EUR/USD", "1e400", time.Now()), krakenTick("EUR/USD", "1.25", time.Now()))
		v.stay(conn)
	})
	s := runFeed(t, "kraken?symbols=EUR-USD&url="+v.address())
	eventually(t, "the honest price after them", s.costs("EUR-USD", "1.25"))
	if n := count(s.metrics.malformed.WithLabelValues("kraken")); n != 7 {
		t.Errorf("%v counted, not 7", n)
	}
	if v.mu.Lock(); v.visits != 1 {
		t.Error("the connection was given up")
	}
	v.mu.Unlock()
}

func TestTooManyRequestsAreAnsweredByPatience(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"at the door": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "120"); w.WriteHeader(429) },
		"inside": func(w http.ResponseWriter, r *http.Request) {
			conn, _ := websocket.Accept(w, r, nil)
			say(conn, `{"Error":"Exceeded msg rate"}`)
			_, _, _ = conn.Read(context.Background())
		},
	} {
		server := httptest.NewServer(answer)
		f, err := newExchange(feedSpec{name: "kraken", options: map[string][]string{"url": {"ws" + server.URL[4:]}, "symbols": {"BTC-USD"}}},
			feedDeps{demand: &demand{}, book: testBook(), metrics: newFeedMetrics(nil)}, kraken{}, krakenTerms, "", "")
		if err != nil {
			t.Fatal(err)
		}
		err = f.Run(t.Context(), func([]Tick) {})
		least := map[string]time.Duration{"at the door": 120 * time.Second, "inside": 10 * time.Second}[name]
		if wait, ok := errors.AsType[*throttled](err); !ok || wait.after < least {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
	}
}

func TestAClockThatJumpsStopsNoFeedAndIsNotBelieved(t *testing.T) {
	v := newVenue(t, func(v *venue, n int, conn *websocket.Conn) {
		v.hear(conn, `"subscribe"`)
		now := time.Now()
		say(conn, krakenTick("EUR/USD", "1.1", now), krakenTick("EUR/USD", "1.2", now.Add(time.Hour)), krakenTick("EUR/USD", "1.11", now.Add(-time.Hour)),
			krakenTick("EUR/USD", "1.12", now.Add(time.Millisecond)))
		v.stay(conn)
	})
	s := runFeed(t, "kraken?symbols=EUR-USD&url="+v.address())
	eventually(t, "the last honest price", s.costs("EUR-USD", "1.12"))
	if count(s.Book.metrics.refused[inFuture]) != 1 || count(s.Book.metrics.refused[notNewer]) != 1 {
		t.Error("the jumps were not counted")
	}
}

func TestAlpacaSubscribesOnlyAfterItIsLetIn(t *testing.T) {
	v := newVenue(t, func(v *venue, n int, conn *websocket.Conn) {
		say(conn, `[{"T":"success","msg":"connected"}]`)
		v.hear(conn, `"action":"auth"`)
		time.Sleep(3 * lookEvery)
		v.mu.Lock()
		early := len(v.received)
		v.mu.Unlock()
		say(conn, `[{"T":"success","msg":"authenticated"}]`)
		if v.hear(conn, `"trades":["AAPL"]`) && early == 1 {
			say(conn, fmt.Sprintf(`[{"T":"b","S":"AAPL"},{"T":"t","S":"AAPL","p":126.55,"s":100,"t":%q,"c":["@"]}]`, time.Now().UTC().Format(time.RFC3339Nano)))
		}
		v.stay(conn)
	})
	s := runFeed(t, "alpaca?symbols=AAPL&url="+v.address())
	eventually(t, "AAPL has its price", s.costs("AAPL", "126.55"))
}

func TestASymbolLimitMakesTheFeedAskForFewer(t *testing.T) {
	v := newVenue(t, func(v *venue, n int, conn *websocket.Conn) {
		say(conn, `[{"T":"success","msg":"authenticated"}]`)
		v.hear(conn, `"trades"`)
		v.mu.Lock()
		asked := v.received[len(v.received)-1]
		v.mu.Unlock()
		if strings.Count(asked, ",") > 3 { // the commas of action and of two more symbols
			say(conn, `[{"T":"error","code":405,"msg":"symbol limit exceeded"}]`)
		} else {
			say(conn, fmt.Sprintf(`[{"T":"t","S":"AAPL","p":1.5,"t":%q}]`, time.Now().UTC().Format(time.RFC3339Nano)))
		}
		v.stay(conn)
	})
	s := runFeed(t, "alpaca?budget=5&symbols=AAPL+MSFT+IBM+GOOG+AMZN&url="+v.address())
	eventually(t, "AAPL has its price", s.costs("AAPL", "1.5"))
}

func TestTheKeyOfAFeedIsInNoError(t *testing.T) {
	f, err := newExchange(feedSpec{name: "finnhub", options: map[string][]string{"url": {"ws://127.0.0.1:1"}, "symbols": {"AAPL"}}},
		feedDeps{demand: &demand{}, book: testBook()}, finnhub{}, finnhubTerms, finnhubAddress, "very-secret")
	if err != nil {
		t.Fatal(err)
	}
	err = f.Run(t.Context(), func([]Tick) {})
	if err == nil || strings.Contains(err.Error(), "very-secret") || !strings.Contains(err.Error(), "[secret]") {
		t.Errorf("%v", err)
	}
}

func TestFinnhubAndBinanceSpeakTheirProtocols(t *testing.T) {
	v := newVenue(t, func(v *venue, n int, conn *websocket.Conn) {
		v.hear(conn, `{"symbol":"AAPL","type":"subscribe"}`)
		say(conn, `{"type":"ping"}`, fmt.Sprintf(`{"type":"trade","data":[{"s":"AAPL","p":1,"t":%[1]d},{"s":"AAPL","p":2.5,"t":%[1]d}]}`, time.Now().UnixMilli()))
		v.stay(conn)
	})
	s := runFeed(t, "finnhub?symbols=AAPL&url="+v.address())
	eventually(t, "the last of two trades", s.costs("AAPL", "2.5"))
	v = newVenue(t, func(v *venue, n int, conn *websocket.Conn) {
		v.hear(conn, `"btcusdt@miniTicker"`)
		say(conn, `{"result":null,"id":1}`, fmt.Sprintf(`{"e":"24hrMiniTicker","E":%d,"s":"BTCUSDT","c":"64000.10","o":"1"}`, time.Now().UnixMilli()))
		v.stay(conn)
	})
	s = runFeed(t, "binance?symbols=BTC-USDT&url="+v.address(), Instrument{Symbol: "BTC-USDT", Kind: KindCrypto, Currency: "USD"})
	eventually(t, "BTC-USDT has its price", s.costs("BTC-USDT", "64000.1"))
}
