package devstack

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// TestMain lets the test binary be the parent that a test kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DEVSTACK_PARENT_OF"); dir != "" {
		s, err := Start(context.Background(), Options{Dir: dir, Unsafe: true})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		json.NewEncoder(os.Stdout).Encode(s)
		select {}
	}
	os.Exit(m.Run())
}

// dataDir is a folder that the servers' account can reach, unlike t.TempDir of root.
func dataDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(Test(t).folder(t, strings.ReplaceAll(t.Name(), "/", "-")), "data")
	return dir
}

func start(t *testing.T, opts Options) *Stack {
	t.Helper()
	opts.Unsafe = true
	s, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStack(t *testing.T, s *Stack) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// leave writes a mark to both servers; found tells whether it is there.
func leave(t *testing.T, s *Stack) {
	t.Helper()
	conn := connect(t, s.OwnerURL)
	if _, err := conn.Exec(t.Context(), "CREATE TABLE mark (n int); INSERT INTO mark VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	conn.Close(t.Context())
	if err := client(t, s).Set(t.Context(), "mark", 7, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func found(t *testing.T, s *Stack) (inPostgres, inRedis bool) {
	t.Helper()
	var n int
	err := connect(t, s.OwnerURL).QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE tablename = 'mark'").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	got, err := client(t, s).Get(t.Context(), "mark").Result()
	if err != nil && err != redis.Nil {
		t.Fatal(err)
	}
	return n == 1, got == "7"
}

func client(t *testing.T, s *Stack) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(s.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opts)
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// serversOn returns the living processes that work in dir. A zombie works nowhere.
func serversOn(t *testing.T, pids ...int) []string {
	t.Helper()
	var alive []string
	for _, pid := range pids {
		if line := commandLine(pid); line != "" {
			alive = append(alive, line)
		}
	}
	return alive
}

func TestServersEndWithAKilledParentAndTheNextStartHasTheirData(t *testing.T) {
	dir := dataDir(t)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "DEVSTACK_PARENT_OF="+dir)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer parent.Process.Kill()
	var s Stack
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&s); err != nil {
		t.Fatal(err)
	}
	leave(t, &s)
	pids := []int{NotedPID(t, filepath.Join(s.Folder, "postgres/data/postmaster.pid")), NotedPID(t, filepath.Join(s.Folder, "redis/pid"))}
	if alive := serversOn(t, pids...); len(alive) != 2 {
		t.Fatalf("before the kill there run %q", alive)
	}
	parent.Process.Kill()
	parent.Wait()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		alive := serversOn(t, pids...)
		if len(alive) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("five seconds after its parent was killed there runs %q", alive)
		}
	}
	again := start(t, Options{Dir: dir})
	defer closeStack(t, again)
	if pg, rd := found(t, again); !pg || !rd {
		t.Errorf("the data is there: PostgreSQL %v, Redis %v", pg, rd)
	}
	if again.OwnerURL != s.OwnerURL || again.RedisURL != s.RedisURL {
		t.Error("the URLs changed though their ports were free")
	}
}

func TestFreshEmptiesTheFolder(t *testing.T) {
	dir := dataDir(t)
	s := start(t, Options{Dir: dir})
	leave(t, s)
	closeStack(t, s)
	s = start(t, Options{Dir: dir})
	if pg, rd := found(t, s); !pg || !rd {
		t.Errorf("without Fresh the data is there: PostgreSQL %v, Redis %v", pg, rd)
	}
	closeStack(t, s)
	s = start(t, Options{Dir: dir, Fresh: true})
	defer closeStack(t, s)
	if pg, rd := found(t, s); pg || rd {
		t.Errorf("after Fresh the data is there: PostgreSQL %v, Redis %v", pg, rd)
	}
}

func TestAFolderInUseIsRefusedAndLeftAlone(t *testing.T) {
	dir := dataDir(t)
	s := start(t, Options{Dir: dir})
	defer closeStack(t, s)
	leave(t, s)
	_, err := Start(t.Context(), Options{Dir: dir, Fresh: true})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("the second start says %v; want that process %d uses the folder", err, os.Getpid())
	}
	if pg, rd := found(t, s); !pg || !rd {
		t.Errorf("the first one's data is there: PostgreSQL %v, Redis %v", pg, rd)
	}
}

func TestAPidFileOfTheDeadDoesNotStopTheStart(t *testing.T) {
	dir := dataDir(t)
	s := start(t, Options{Dir: dir})
	closeStack(t, s)
	// The id of the dead postmaster now belongs to another process of the same user, as in a container.
	other := exec.Command("sleep", "60")
	other.SysProcAttr = &syscall.SysProcAttr{}
	as, err := unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	as.run(other.SysProcAttr)
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { other.Process.Kill(); other.Wait() }()
	data := filepath.Join(s.Folder, "postgres", "data")
	stale := fmt.Sprintf("%d\n%s\n1\n5432\n\n127.0.0.1\n", other.Process.Pid, data)
	note := fmt.Sprintf("%d 6379\n", other.Process.Pid)
	if err := errors.Join(os.WriteFile(filepath.Join(data, "postmaster.pid"), []byte(stale), 0o600),
		os.WriteFile(filepath.Join(s.Folder, "redis", "pid"), []byte(note), 0o600)); err != nil {
		t.Fatal(err)
	}
	s = start(t, Options{Dir: dir})
	closeStack(t, s)
	if commandLine(other.Process.Pid) == "" {
		t.Error("the other program was ended")
	}
}

func TestServersThatOutlivedTheirParentAreEnded(t *testing.T) {
	dir := dataDir(t)
	s := start(t, Options{Dir: dir})
	leave(t, s)
	// Give the folder back without ending the servers: what is left when neither the kernel nor the
	// watchdog did its work.
	s.folder.lock.Close()
	old := []int{s.postgres.pid(), s.redis.pid()}
	again := start(t, Options{Dir: dir})
	defer closeStack(t, again)
	if alive := serversOn(t, old...); len(alive) != 0 {
		t.Errorf("still running: %q", alive)
	}
	if pg, rd := found(t, again); !pg || !rd {
		t.Errorf("the data is there: PostgreSQL %v, Redis %v", pg, rd)
	}
}

func TestAnInterruptedFirstStartLeavesNoHalfCluster(t *testing.T) {
	dir := dataDir(t)
	half := filepath.Join(dir, "servers", "postgres", "data.half")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	closeStack(t, start(t, Options{Dir: dir}))
}

func TestServersListenOnLoopbackAloneAndAskForAPassword(t *testing.T) {
	s := start(t, Options{Dir: dataDir(t)})
	defer closeStack(t, s)
	cfg, err := pgx.ParseConfig(s.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Password = "wrong"
	if _, err := pgx.ConnectConfig(t.Context(), cfg); err == nil {
		t.Error("PostgreSQL took a wrong password")
	}
	opts := client(t, s).Options()
	anyone := redis.NewClient(&redis.Options{Addr: opts.Addr})
	defer anyone.Close()
	if err := anyone.Ping(t.Context()).Err(); err == nil {
		t.Error("Redis asked for no password")
	}
	bound := client(t, s).ConfigGet(t.Context(), "bind").Val()["bind"]
	var listens string
	if err := connect(t, s.OwnerURL).QueryRow(t.Context(), "SHOW listen_addresses").Scan(&listens); err != nil || listens != "127.0.0.1" || bound != "127.0.0.1" {
		t.Errorf("PostgreSQL listens on %q (%v), Redis on %q", listens, err, bound)
	}
	info, err := os.Stat(filepath.Join(s.folder.dir, "secrets.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secrets.json: %v, %v", info, err)
	}
}
