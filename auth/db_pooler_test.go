package auth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rosetree/internal/devstack"
)

// pgBouncer starts one in transaction mode in front of d and returns d's URL through it. It hands out few
// connections on purpose, so that users share them in turn.
func pgBouncer(t *testing.T, d devstack.DB) string {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path = "/usr/sbin/pgbouncer"
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal("PgBouncer is needed: .ci/setup pooler")
	}
	c, err := pgconn.ParseConfig(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	dir := devstack.Test(t).Folder(t)
	port := devstack.FreePort(t)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("users", fmt.Sprintf("%q %q\n", c.User, c.Password))
	write("ini", fmt.Sprintf(`[databases]
%s = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s/users
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
`, d.Name, c.Port, port, dir))
	cmd := exec.Command(path, "-q", filepath.Join(dir, "ini"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: devstack.Test(t).Account()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	awaitPort(t, port)
	return strings.Replace(d.URL, ":"+strconv.Itoa(int(c.Port))+"/", ":"+strconv.Itoa(port)+"/", 1)
}

func awaitPort(t *testing.T, port int) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("nothing listens on %d", port)
}

func TestBehindPgBouncerUsersShareConnectionsAndNeverRows(t *testing.T) {
	d := devstack.Test(t).Database(t, migrate)
	who := seedUsers(t, d, 12, 10)
	url := pgBouncer(t, d)
	for _, mode := range []string{"", "cache_describe", "exec"} {
		t.Run("mode="+mode, func(t *testing.T) {
			at := url
			if mode != "" {
				at += "&default_query_exec_mode=" + mode
			}
			db, err := OpenDB(t.Context(), DBConfig{URL: Secret(at), MaxConns: 10, AcquireWait: 20 * time.Second}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if !db.pooler {
				t.Fatal("the pooler was not noticed")
			}
			var wg sync.WaitGroup
			for _, p := range who {
				wg.Go(func() { sharesConnections(t, db, p) })
			}
			wg.Wait()
		})
	}
	// These run what was prepared in another transaction, perhaps on another connection: an error then, never a row.
	for _, mode := range []string{"describe_exec", "cache_statement"} {
		t.Run("mode="+mode, func(t *testing.T) { seesOwnRowsOrAnError(t, url+"&default_query_exec_mode="+mode, who) })
	}
	t.Run("simple_protocol", func(t *testing.T) {
		if _, err := OpenDB(t.Context(), DBConfig{URL: Secret(url + "&default_query_exec_mode=simple_protocol")}, nil); err == nil || !strings.Contains(err.Error(), "simple_protocol") {
			t.Errorf("%v", err)
		}
	})
	t.Run("LISTEN is refused and not lost in silence", func(t *testing.T) {
		db, err := OpenDB(t.Context(), DBConfig{URL: Secret(url)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := db.Listen(ctx, "rt_auth", func(string) {}); !errors.Is(err, errPooled) {
			t.Error(err)
		}
	})
}

func seesOwnRowsOrAnError(t *testing.T, url string, who []Principal) {
	db, err := OpenDB(t.Context(), DBConfig{URL: Secret(url), MaxConns: 10, AcquireWait: 20 * time.Second}, nil)
	if err != nil {
		return // an error already
	}
	defer db.Close()
	var wg sync.WaitGroup
	for _, p := range who {
		wg.Go(func() {
			for range 30 {
				var seen []string
				if err := oneRow(t.Context(), db.As(p), &seen, "select array_agg(distinct user_id::text) from app.transactions"); err == nil && !slices.Equal(seen, []string{string(p.User)}) {
					t.Errorf("%s sees %v", p.User, seen)
				}
			}
		})
	}
	wg.Wait()
}

func sharesConnections(t *testing.T, db *DB, p Principal) {
	for i := range 60 {
		var seen []string
		var b pgx.Batch
		b.Queue("update app.portfolios set name = $1 where user_id = $2", fmt.Sprint(i), string(p.User))
		b.Queue("select array_agg(distinct user_id::text) from app.transactions").QueryRow(func(row pgx.Row) error { return row.Scan(&seen) })
		if err := db.As(p).Do(t.Context(), &b); err != nil || len(seen) != 1 || seen[0] != string(p.User) {
			t.Errorf("%s sees %v, %v", p.User, seen, err)
			return
		}
		var name string
		err := db.As(p).Tx(t.Context(), func(tx pgx.Tx) error {
			return tx.QueryRow(t.Context(), "select name from app.portfolios").Scan(&name)
		})
		if err != nil || name != fmt.Sprint(i) {
			t.Errorf("in a transaction: %q, %v", name, err)
			return
		}
		if rows, left, err := unbound(t.Context(), db.pool); err != nil || rows != 0 || left != "" {
			t.Errorf("unbound: %d rows, context %q, %v", rows, left, err)
			return
		}
	}
}
