package auth

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"rosetree/internal/devstack"
)

// The promises are ratios, measured in one run, in slices that take turns: the machine may be busy with other things.
//
//	go test ./auth -run '^$' -bench BoundRead -benchtime 10x
const benchSlice = 200 * time.Millisecond

// compareRates runs base and other in turns and reports the median of other's rate over base's.
func compareRates(b *testing.B, workers int, base, other func(worker int) error) {
	b.Helper()
	var ratios, rates []float64
	for b.Loop() {
		first, second := rateOf(b, workers, base), rateOf(b, workers, other)
		ratios, rates = append(ratios, second/first), append(rates, second)
	}
	slices.Sort(ratios)
	slices.Sort(rates)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(rates[len(rates)/2], "ops/s")
}

func rateOf(b *testing.B, workers int, do func(worker int) error) float64 {
	b.Helper()
	var n atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for w := range workers {
		wg.Go(func() {
			for time.Since(began) < benchSlice {
				if err := do(w); err != nil {
					b.Error(err)
					return
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(began).Seconds()
}

func BenchmarkBoundRead(b *testing.B) {
	d := devstack.Test(b).Database(b, migrate)
	who := seedUsers(b, d, 500, 20) // 20 rows a user, as 20 holdings
	if _, err := superuser(b, d).Exec(b.Context(), "vacuum analyze app.transactions"); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		delay   time.Duration
		workers int
	}{{"saturation", 0, 8}, {"round trip +0.5 ms", 250 * time.Microsecond, 1}} {
		b.Run(c.name, func(b *testing.B) {
			plain, err := pgxpool.New(b.Context(), slowly(b, d.OwnerURL, c.delay)+"&pool_max_conns=8")
			if err != nil {
				b.Fatal(err)
			}
			defer plain.Close()
			db, err := OpenDB(b.Context(), DBConfig{URL: Secret(slowly(b, d.URL, c.delay)), MaxConns: 8, AcquireWait: time.Minute}, nil)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			var next atomic.Int64
			user := func() Principal { return who[next.Add(7)%int64(len(who))] }
			compareRates(b, c.workers, func(int) error {
				ctx, stop := context.WithTimeout(context.Background(), 5*time.Second) // no query goes without one
				defer stop()
				rows, err := plain.Query(ctx, twentyHoldings+" where user_id = $1", string(user().User))
				if err != nil {
					return err
				}
				return readHoldings(rows)
			}, func(int) error {
				var batch pgx.Batch
				batch.Queue(twentyHoldings).Query(readHoldings)
				return db.As(user()).Do(context.Background(), &batch)
			})
		})
	}
}

// twentyHoldings has the columns that package portfolio reads of a ledger.
const twentyHoldings = `SELECT id, account_id, seq, executed_at, type, COALESCE(symbol, ''), quantity, price, amount, currency, fee, tax, fx_rate,
	COALESCE(pair_id::text, ''), deleted_at IS NOT NULL FROM app.transactions`

func readHoldings(rows pgx.Rows) error {
	var (
		id, kind, symbol, currency, pair        string
		account                                 pgtype.UUID
		seq                                     int64
		at                                      time.Time
		quantity, price, amount, fee, tax, rate pgtype.Numeric
		deleted                                 bool
	)
	n := 0
	for ; rows.Next(); n++ {
		if err := rows.Scan(&id, &account, &seq, &at, &kind, &symbol, &quantity, &price, &amount, &currency, &fee, &tax, &rate, &pair, &deleted); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil || n != 20 {
		return fmt.Errorf("%d holdings: %w", n, err)
	}
	return nil
}

// slowly is url by way of a proxy that delays each direction; 0 is url itself.
func slowly(b *testing.B, url string, delay time.Duration) string {
	b.Helper()
	if delay == 0 {
		return url
	}
	_, rest, _ := strings.Cut(url, "@")
	target, _, _ := strings.Cut(rest, "/")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				in.Close()
				continue
			}
			go delayed(in, out, delay)
			go delayed(out, in, delay)
		}
	}()
	return strings.Replace(url, target, fmt.Sprint(l.Addr()), 1)
}

func delayed(to io.WriteCloser, from io.Reader, delay time.Duration) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		time.Sleep(delay)
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
