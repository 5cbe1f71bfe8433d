package portfolio

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// nothingPersonal is all that may go over Redis: whose portfolio is at which version since when.
var nothingPersonal = regexp.MustCompile(`^\{"u":"[0-9a-f-]{36}","p":"[0-9a-f-]{36}","v":\d+(,"t":\d+)?\}$`)

// listener counts how often each version is said on Redis.
type listener struct {
	mu   sync.Mutex
	said map[news]int
}

func (w *world) listen() *listener {
	w.t.Helper()
	sub := w.redis.Client(w.t).Subscribe(context.Background(), newsChannel)
	w.t.Cleanup(func() { sub.Close() })
	if _, err := sub.Receive(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	l := &listener{said: map[news]int{}}
	go func() {
		for m := range sub.Channel() {
			if !nothingPersonal.MatchString(m.Payload) {
				w.t.Errorf("the news on Redis says more than it may: %s", m.Payload)
			}
			var n news
			if json.Unmarshal([]byte(m.Payload), &n) == nil {
				l.mu.Lock()
				l.said[news{User: n.User, Portfolio: n.Portfolio, Version: n.Version}]++
				l.mu.Unlock()
			}
		}
	}()
	return l
}

func (l *listener) times(n news) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said[n]
}

func (w *world) outboxRows() (n int) {
	w.t.Helper()
	if err := w.owner.QueryRow(context.Background(), `SELECT count(*) FROM app.portfolio_outbox`).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s never came", what)
		}
	}
}

func TestWhatIsPublishedIsNotSweptAsWell(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("ACME", "USD")
	id := w.portfolio(ana, "")
	eventually(t, "an empty outbox", func() bool { return w.outboxRows() == 0 })
	heard := w.listen()
	var written []news
	for i := range 30 {
		version := int64(w.add(ana, id, fmt.Sprintf("buy %d ACME @ 10", i+1), "")["version"].(float64))
		written = append(written, news{User: ana.User, Portfolio: ID(id), Version: version})
	}
	eventually(t, "an empty outbox", func() bool { return w.outboxRows() == 0 })
	eventually(t, "the last version", func() bool { return heard.times(written[29]) > 0 })
	// A machine that stands still for longer than sweepAge may repeat some; it must not be the rule.
	twice := 0
	for _, n := range written {
		twice += heard.times(n) - 1
	}
	if twice > 10 {
		t.Errorf("%d of 30 versions were published twice", twice)
	}
}

// TestAServerThatDiesBetweenCommitAndPublishLosesNothing lets a server commit that never publishes.
func TestAServerThatDiesBetweenCommitAndPublishLosesNothing(t *testing.T) {
	w := newWorld(t)
	ana := w.user("ana@test")
	w.define("ACME", "USD")
	w.tick("ACME", "10")
	id := w.portfolio(ana, "")
	eventually(t, "an empty outbox", func() bool { return w.outboxRows() == 0 })
	v, _ := w.watch(w.server, ana, id, 0)
	heard := w.listen()
	dead := New(Config{}, w.db, w.book, w.past, w.redis.Client(t), quiet, prometheus.NewRegistry())
	var last news
	for i := range 5 {
		out, err := w.callAt(dead, context.Background(), ana, "transaction.add", fmt.Sprintf(`{"portfolio":%q,"type":"buy","symbol":"ACME","quantity":"%d","price":"10"}`, id, i+1))
		if err != nil {
			t.Fatal(err)
		}
		last = news{User: ana.User, Portfolio: ID(id), Version: int64(out["version"].(float64))}
	}
	v.until(t, "what the dead server wrote", func() bool { return v.last.Version == last.Version && v.last.Totals.Value == "150.00" })
	eventually(t, "the news on Redis", func() bool { return heard.times(last) == 1 })
	eventually(t, "an empty outbox", func() bool { return w.outboxRows() == 0 })
}

// TestARowThatIsNewerThanWhatWasPublishedStays holds the deletion to the versions that Redis took.
func TestARowThatIsNewerThanWhatWasPublishedStays(t *testing.T) {
	w := newWorld(t)
	ana, ben := w.user("ana@test"), w.user("ben@test")
	idle := New(Config{}, w.db, w.book, w.past, w.redis.Client(t), quiet, prometheus.NewRegistry())
	future := time.Now().Add(time.Hour) // so that no sweeper takes them
	for version := range 3 {
		w.exec(`INSERT INTO app.portfolio_outbox (user_id, portfolio_id, version, at) VALUES ($1, $1, $2, $3), ($4, $4, $2, $3)`, string(ana.User), version+1, future, string(ben.User))
	}
	idle.outbox.published([]news{{User: ana.User, Portfolio: ID(ana.User), Version: 2}, {User: ana.User, Portfolio: ID(ana.User), Version: 1}})
	if err := idle.clearOutbox(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := w.owner.Query(t.Context(), `SELECT user_id = $1, version FROM app.portfolio_outbox WHERE at = $2 ORDER BY 1, 2`, string(ana.User), future)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for rows.Next() {
		var anas bool
		var version int
		if err := rows.Scan(&anas, &version); err != nil {
			t.Fatal(err)
		}
		left = append(left, fmt.Sprint(anas, version))
	}
	if got := fmt.Sprint(left); got != "[false 1 false 2 false 3 true 3]" {
		t.Errorf("left: %s", got)
	}
}
