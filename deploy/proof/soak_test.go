package proof

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"rosetree/auth"
	"rosetree/internal/devstack"
	"rosetree/migrations"
)

const goodPassword = "orchid-tandem-42"

func migrate(ctx context.Context, ownerURL, runtimeURL string) error {
	key, err := (auth.SecretKey{}).Or(runtimeURL)
	if err != nil {
		return err
	}
	return migrations.Up(ctx, ownerURL, migrations.Options{ContextKeys: key.ContextKeys(), RuntimeURL: runtimeURL})
}

// span is how long a proof takes: short in `make test`, and what a person asks for otherwise.
func span(t *testing.T, name string, short time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return short
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

// reading is one look at everything that must not grow.
type reading struct {
	at     time.Duration
	values map[string]float64
}

// grown are what is looked at, with how much more at the end than after the warm-up still is no leak.
var grown = []struct {
	name, title, unit string
	share, least      float64
}{
	{"goroutines", "Goroutines of both servers", "", .15, 60},
	{"descriptors", "Open file descriptors of both servers", "", .15, 40},
	{"rss", "Resident memory of both servers", "MB", .25, 60},
	{"keys", "Keys in Redis", "", .15, 60},
	{"connections", "Connections to PostgreSQL", "", .15, 6},
}

// lookAt reads all of it.
func lookAt(t *testing.T, began time.Time, servers []*server, rdb *redis.Client, db *pgx.Conn) reading {
	t.Helper()
	r := reading{time.Since(began), map[string]float64{}}
	for _, s := range servers {
		r.values["goroutines"] += s.metric("go_goroutines")
		r.values["descriptors"] += s.metric("process_open_fds")
		r.values["rss"] += s.metric("process_resident_memory_bytes") / (1 << 20)
	}
	r.values["keys"] = float64(rdb.DBSize(t.Context()).Val())
	var n int
	if err := db.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = 'rosetree_api'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	r.values["connections"] = float64(n)
	return r
}

// churn is one user's day in a minute: log in, watch, write, log out or be revoked, and begin again.
func churn(ctx context.Context, v *visitor) {
	for ctx.Err() == nil {
		if v.login(ctx) == "" || !v.adopt(ctx) { // turned away: it tries again later
			rest(ctx, time.Second)
			continue
		}
		watching, leave := context.WithCancel(ctx)
		var socket sync.WaitGroup
		socket.Go(func() { v.live(watching) })
		var made []string
		for range 3 + rand.IntN(5) {
			made = append(made, v.write(context.WithoutCancel(ctx))) // what was sent counts, also where the run ends meanwhile
			rest(ctx, 200*time.Millisecond+rand.N(400*time.Millisecond))
		}
		v.look(ctx)
		for _, id := range made { // a portfolio that grows takes memory that is no leak
			if id != "" {
				v.takeBack(context.WithoutCancel(ctx), id)
			}
		}
		leave()
		socket.Wait()
		// Half leave by the door; the others' sessions are ended as a user ends a lost phone's.
		if rand.IntN(2) == 0 {
			v.must(ctx, "log-out", "POST", "/api/auth/logout", "", nil, nil)
		} else {
			v.revoke(ctx)
		}
		v.forget()
		rest(ctx, rand.N(300*time.Millisecond))
	}
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// TestSoak: whatever comes and goes for however long, the servers stay as large as they are.
func TestSoak(t *testing.T) {
	length := span(t, "ROSETREE_SOAK", 8*time.Second)
	env := devstack.Test(t)
	db, rds := env.Database(t, migrate), env.Redis(t)
	settings := []string{"DATABASE_URL=" + db.URL, "REDIS_URL=" + rds.URL, "NEW_AUTH_ENABLED=true", "NEW_AUTH_PERCENTAGE=100",
		"PRICE_FEEDS=sim?rate=20", "WS_DRAIN=200ms"}
	servers := []*server{serve(t, settings...), serve(t, settings...)}
	front := balance(t, servers)
	look, err := pgx.Connect(t.Context(), db.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close(context.Background())
	rdb := rds.Client(t)

	rec := newRecord()
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	var living sync.WaitGroup
	living.Go(func() { rec.watchTheMachine(ctx) })
	for i := range 12 {
		v := newVisitor(t, rec, front, fmt.Sprintf("soak%d@example.com", i), goodPassword)
		living.Go(func() {
			if v.must(ctx, "registration", "POST", "/api/auth/register", "", map[string]string{"email": v.email, "password": v.password}, nil) {
				churn(ctx, v)
			}
		})
	}
	var readings []reading
	began, every := time.Now(), max(length/240, 500*time.Millisecond)
	for ctx.Err() == nil {
		readings = append(readings, lookAt(t, began, servers, rdb, look))
		rest(ctx, every)
	}
	living.Wait()
	for _, line := range slices.Concat(rec.wrong, rec.lost, rec.failures) {
		t.Error(line)
		for _, s := range servers {
			s.explain(line)
		}
	}
	for _, line := range rec.still {
		t.Log(line)
	}
	for _, s := range servers {
		if n := s.metric("rosetree_hub_consistency_faults_total"); n != 0 {
			t.Errorf("the hub of %s found %v faults in its own books", s.url, n)
		}
	}
	what := fmt.Sprintf("Two servers on %s/%s, %d cores, %v: %d log-ins, %d sockets, %d ledger writes and %d deletions, %d revocations and log-outs. "+
		"Of all that %d requests failed, %d sockets were lost and %d answers were wrong; nobody tried again. The machine itself stood still for over a second %d times.",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), length, rec.counted("log-in"), rec.counted("socket opened"), rec.counted("ledger write"),
		rec.counted("ledger deletion"), rec.counted("log-out")+rec.counted("revocation"), len(rec.failures), len(rec.lost), len(rec.wrong), len(rec.still))
	t.Log(what)
	verdict := judgeSoak(t, readings, length)
	if pictures := os.Getenv("ROSETREE_SOAK_PICTURES"); pictures != "" {
		drawSoak(t, pictures, readings, what, verdict)
	}
}

// judgeSoak compares the last fifth with the second: the first is the warm-up, while pools and caches fill.
func judgeSoak(t *testing.T, readings []reading, length time.Duration) string {
	t.Helper()
	var table strings.Builder
	fmt.Fprintf(&table, "| what | after the warm-up | at the end | most | verdict |\n| --- | --- | --- | --- | --- |\n")
	fifth := len(readings) / 5
	if fifth == 0 {
		t.Fatalf("only %d readings", len(readings))
	}
	for _, g := range grown {
		before, after := mean(readings[fifth:2*fifth], g.name), mean(readings[len(readings)-fifth:], g.name)
		most := 0.0
		for _, r := range readings {
			most = max(most, r.values[g.name])
		}
		verdict := "no leak"
		if length < 5*time.Minute {
			verdict = "too short to tell"
		} else if after > before*(1+g.share)+g.least {
			verdict = "LEAK"
			t.Errorf("%s: %.0f after the warm-up, %.0f at the end", g.title, before, after)
		}
		fmt.Fprintf(&table, "| %s | %.0f %s | %.0f %s | %.0f %s | %s |\n", g.title, before, g.unit, after, g.unit, most, g.unit, verdict)
	}
	t.Log("\n" + table.String())
	return table.String()
}

func mean(readings []reading, name string) (sum float64) {
	for _, r := range readings {
		sum += r.values[name]
	}
	return sum / float64(len(readings))
}

// drawSoak writes one picture per curve, and the page that shows them.
func drawSoak(t *testing.T, folder string, readings []reading, what, verdict string) {
	t.Helper()
	var page strings.Builder
	fmt.Fprintf(&page, "# Soak\n\nWritten by `make soak`. %s\nLog-ins, sockets, transactions, log-outs and revocations come and go all the time; what is read is what must not grow.\nThe warm-up is the first fifth; compared are the second fifth and the last.\n\n%s\n", what, verdict)
	for _, g := range grown {
		c := curve{title: g.title, unit: g.unit}
		for _, r := range readings {
			c.x, c.y = append(c.x, r.at.Minutes()), append(c.y, r.values[g.name])
		}
		if err := os.WriteFile(filepath.Join(folder, "soak-"+g.name+".svg"), c.svg(), 0o644); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&page, "![%s over the minutes](soak-%s.svg)\n\n", g.title, g.name)
	}
	if err := os.WriteFile(filepath.Join(folder, "soak.md"), []byte(strings.TrimRight(page.String(), "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}
