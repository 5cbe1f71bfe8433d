package auth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rosetree/internal/devstack"
)

// mixedOperations is how many each of the 32 users does. ROSETREE_RLS_OPERATIONS=10000 is the full promise
// (it takes minutes); an ordinary run does a sample of it.
func mixedOperations() int {
	if n, err := strconv.Atoi(os.Getenv("ROSETREE_RLS_OPERATIONS")); err == nil {
		return n
	}
	return 60
}

func TestThirtyTwoUsersInParallelNeverMeet(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	who, each := seedUsers(t, d, 32, 20), mixedOperations()
	db, err := OpenDB(t.Context(), DBConfig{URL: Secret(d.URL + "&connect_timeout=60"), MaxConns: 8, AcquireWait: time.Minute, QueryTimeout: time.Minute} /* on a busy machine too: this is about rows, not about time */, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var wg sync.WaitGroup
	var done, foreign, leftover atomic.Int64
	for i, p := range who {
		wg.Go(func() {
			m := mixer{db: db, me: p, other: who[(i+1)%len(who)], r: rand.New(rand.NewPCG(uint64(i), 1))}
			for range each {
				if err := m.operate(t.Context()); err != nil {
					t.Errorf("user %d: %v", i, err)
					return
				}
				done.Add(1)
				rows, left, err := unbound(t.Context(), db.pool)
				if err != nil {
					t.Error(err)
					return
				}
				foreign.Add(int64(rows))
				if left != "" {
					leftover.Add(1)
				}
			}
			foreign.Add(m.foreign)
		})
	}
	wg.Wait()
	t.Logf("%d operations", done.Load())
	if foreign.Load() != 0 || leftover.Load() != 0 {
		t.Errorf("%d foreign rows, %d contexts left over", foreign.Load(), leftover.Load())
	}
}

// mixer does one user's random work and counts what it saw of others.
type mixer struct {
	db        *DB
	me, other Principal
	r         *rand.Rand
	foreign   int64
}

func (m *mixer) operate(ctx context.Context) error {
	mine, theirs := string(m.me.User), string(m.other.User)
	var n int
	see := func(err error) error {
		m.foreign += int64(n)
		return err
	}
	rows := m.db.As(m.me)
	switch m.r.IntN(9) {
	case 0:
		return see(oneRow(ctx, rows, &n, "select count(*) from app.transactions where user_id <> $1", mine))
	case 1:
		return see(oneRow(ctx, rows, &n, "select count(*) from app.transactions t join app.portfolios p on p.id = t.portfolio_id where t.user_id = $1 or p.user_id = $1", theirs))
	case 2:
		return see(oneRow(ctx, rows, &n, "with w as (update app.transactions set note = 'mine' where user_id = $1 returning 1) select count(*) from w", theirs))
	case 3:
		var b pgx.Batch
		b.Queue("insert into app.transactions (user_id, id, portfolio_id, account_id, type, amount, currency, executed_at) values ($1, $2, $1, $1, 'deposit', 1, 'USD', now())", mine, uuid.NewString())
		b.Queue("select count(*) from app.transactions where user_id <> $1", mine).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
		return see(rows.Do(ctx, &b))
	case 4:
		err := oneRow(ctx, rows, &n, "insert into app.watchlists (user_id, id, name) values ($1, $2, 'x') returning 1", theirs, uuid.NewString())
		if sqlState(err) != "42501" {
			return fmt.Errorf("a row for another user: %w", err)
		}
		return nil
	case 5:
		var b pgx.Batch
		b.Queue("update app.portfolios set name = $1", mine)
		b.Queue("select 1/0")
		if err := rows.Do(ctx, &b); sqlState(err) != "22012" {
			return err
		}
		return nil
	case 6:
		left, leave := context.WithCancel(ctx)
		leave()
		if err := oneRow(left, rows, &n, "select count(*) from app.portfolios where user_id <> $1", mine); err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		return see(nil)
	case 7:
		return rows.Tx(ctx, func(tx pgx.Tx) error {
			return see(tx.QueryRow(ctx, "select count(*) from app.accounts where user_id <> $1", mine).Scan(&n))
		})
	default:
		// A statement that swallows its neighbour's identity and rolls back in the middle.
		err := rows.Tx(ctx, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "savepoint s; "); err != nil {
				return err
			}
			_, _ = tx.Exec(ctx, "select set_config('rosetree.ctx', '', true)")
			return see(tx.QueryRow(ctx, "select count(*) from app.transactions").Scan(&n))
		})
		return err
	}
}

// The result under row security is the superuser's result AND user_id, for random users and conditions.
func TestRowsAreTheSuperusersRowsOfThatUser(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	db, who, all := openDB(t, d), seedUsers(t, d, 6, 200), superuser(t, d)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	atoms := []func() string{
		func() string { return fmt.Sprintf("t.quantity > %d", r.IntN(200)) },
		func() string { return fmt.Sprintf("t.symbol = 'S%d'", r.IntN(20)) },
		func() string { return fmt.Sprintf("t.executed_at < now() - interval '%d hours'", r.IntN(200)) },
		func() string { return fmt.Sprintf("t.user_id = '%s'", who[r.IntN(len(who))].User) },
		func() string { return fmt.Sprintf("t.portfolio_id <> '%s'", who[r.IntN(len(who))].User) },
		func() string {
			return "exists (select from app.portfolios p where p.user_id = t.user_id and p.id = t.account_id)"
		},
		func() string { return "t.id in (select x.id from app.transactions x order by x.id limit 50)" },
		func() string { return "t.note is not distinct from ''" },
	}
	condition := func() string {
		c := atoms[r.IntN(len(atoms))]()
		for range r.IntN(4) {
			c = fmt.Sprintf([]string{"(%s and %s)", "(%s or %s)", "(not %s or %s)"}[r.IntN(3)], c, atoms[r.IntN(len(atoms))]())
		}
		return c
	}
	for range 150 {
		me, where := who[r.IntN(len(who))], condition()
		// The inner limit sees all rows as superuser: give it the user's own, as row security does.
		asOwner := fmt.Sprintf("with own as (select * from app.transactions where user_id = '%s') select coalesce(md5(string_agg(t.id::text, ',' order by t.id)), '') from own t where %s",
			me.User, replaceInner(where))
		var want, got string
		if err := all.QueryRow(t.Context(), asOwner).Scan(&want); err != nil {
			t.Fatal(err)
		}
		if err := oneRow(t.Context(), db.As(me), &got, "select coalesce(md5(string_agg(t.id::text, ',' order by t.id)), '') from app.transactions t where "+where); err != nil || got != want {
			t.Errorf("seed %d, user %s, %s: got %q, want %q, %v", seed, me.User, where, got, want, err)
		}
	}
}

func replaceInner(where string) string {
	return strings.ReplaceAll(where, "from app.transactions x", "from own x")
}
