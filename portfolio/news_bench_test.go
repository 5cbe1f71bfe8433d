package portfolio

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rosetree/auth"
)

// newsSide is one of two databases that take the same portfolio writes: with change news, that is the outbox's rows, the publish
// after each commit, the sweeper and a second server that listens; or with none of it.
type newsSide struct {
	db    *auth.DB
	told  func(auth.Principal, int64) // nil: nobody is told
	users []auth.Principal
}

func newNewsSide(b *testing.B, withNews bool) *newsSide {
	w := newWorld(b)
	s := &newsSide{db: w.db}
	for range 32 {
		p := w.user(uuid.NewString() + "@example.com")
		w.exec(`INSERT INTO app.portfolios (user_id, id, name) VALUES ($1, $1, 'P')`, string(p.User))
		w.exec(`INSERT INTO app.accounts (user_id, id, portfolio_id) VALUES ($1, $1, $1)`, string(p.User))
		s.users = append(s.users, p)
	}
	if withNews {
		w.serve(Config{})
		s.told = func(p auth.Principal, version int64) {
			w.server.committed(news{User: p.User, Portfolio: ID(p.User), Version: version})
		}
	} else {
		w.exec(`ALTER TABLE app.portfolios DISABLE TRIGGER news_update`)
	}
	return s
}

// write is the statement of a ledger entry, and the version that it made, in one round trip.
func (s *newsSide) write(n int64) error {
	p := s.users[n%int64(len(s.users))]
	var version int64
	var batch pgx.Batch
	batch.Queue(`INSERT INTO app.transactions (user_id, id, portfolio_id, account_id, type, amount, currency, executed_at) VALUES ($1, $2, $1, $1, 'deposit', 1, 'USD', now())`, string(p.User), uuid.NewString())
	batch.Queue(`SELECT version FROM app.portfolios WHERE id = $1`, string(p.User)).QueryRow(func(row pgx.Row) error { return row.Scan(&version) })
	err := s.db.As(p).Do(context.Background(), &batch)
	if err == nil && s.told != nil {
		s.told(p, version)
	}
	return err
}

// slice offers writes for a second: rate of them, or as many as 16 writers bring through (rate 0). It returns how many committed per
// second, and how long the slowest of a hundred took from when it was due.
func (s *newsSide) slice(b *testing.B, rate int) (perSecond, p99 float64) {
	const length = time.Second
	var committed, next atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	var writers sync.WaitGroup
	began := time.Now()
	for range 16 {
		writers.Go(func() {
			for {
				n := next.Add(1) - 1
				due := time.Now()
				if rate > 0 { // an open loop: the next one does not wait for an answer
					due = began.Add(time.Duration(n) * time.Second / time.Duration(rate))
					time.Sleep(time.Until(due))
				}
				if due.Sub(began) >= length {
					return
				}
				if err := s.write(n); err != nil {
					b.Error(err)
					return
				}
				committed.Add(1)
				mu.Lock()
				took = append(took, time.Since(due))
				mu.Unlock()
			}
		})
	}
	writers.Wait()
	perSecond = float64(committed.Load()) / max(time.Since(began), length).Seconds()
	slices.Sort(took)
	return perSecond, took[len(took)*99/100].Seconds() * 1000
}

// BenchmarkChangeNews offers 1,000 portfolio writes a second with change news and without, in slices that take turns: the machine may
// be busy with other things. PostgreSQL does not sync here: where commits are slower, news weighs less.
//
//	go test ./portfolio -run '^$' -bench ChangeNews -benchtime 10x
func BenchmarkChangeNews(b *testing.B) {
	without, with := newNewsSide(b, false), newNewsSide(b, true)
	for name, rate := range map[string]int{"1000 a second": 1000, "saturation": 0} {
		b.Run(name, func(b *testing.B) {
			var ratios, rates, delays, ratesWithout, delaysWithout []float64
			for b.Loop() {
				r0, d0 := without.slice(b, rate)
				r1, d1 := with.slice(b, rate)
				ratios, rates, delays = append(ratios, r1/r0), append(rates, r1), append(delays, d1)
				ratesWithout, delaysWithout = append(ratesWithout, r0), append(delaysWithout, d0)
			}
			b.ReportMetric(0, "ns/op") // the slices have a fixed length
			for unit, of := range map[string][]float64{"ratio": ratios, "writes/s": rates, "p99-ms": delays, "without-writes/s": ratesWithout, "without-p99-ms": delaysWithout} {
				slices.Sort(of)
				b.ReportMetric(of[len(of)/2], unit)
			}
		})
	}
}
