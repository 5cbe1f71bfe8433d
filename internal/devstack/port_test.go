package devstack

import (
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// occupy takes a port, or any where port is 0, until the test ends.
func occupy(t *testing.T, port int) int {
	t.Helper()
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func TestAPortTakenSinceTheLastRunGivesWayToAnother(t *testing.T) {
	dir := dataDir(t)
	s := start(t, Options{Dir: dir})
	leave(t, s)
	pg, rd := s.postgres.port, s.redis.port
	closeStack(t, s)
	occupy(t, pg)
	occupy(t, rd)
	again := start(t, Options{Dir: dir})
	defer closeStack(t, again)
	if again.postgres.port == pg || again.redis.port == rd {
		t.Error("a server says that it listens on a port that another program has")
	}
	if inPostgres, inRedis := found(t, again); !inPostgres || !inRedis {
		t.Errorf("the data is there: PostgreSQL %v, Redis %v", inPostgres, inRedis)
	}
}

func TestAPortTakenBetweenLookAndStartIsNoticed(t *testing.T) {
	taken := occupy(t, 0)
	e := Test(t)
	ctx, cancel := patience()
	defer cancel()
	_, err := startRedis(ctx, redisSpec{dir: e.folder(t, "redis-taken"), as: e.as, password: "x", wish: taken})
	if err != nil {
		t.Errorf("a port that is taken at the look is not used: %v", err)
	}
	dir := e.folder(t, "postgres-taken")
	pg, err := startPostgres(ctx, postgresSpec{dir: dir, as: e.as, owner: "x", api: "y", unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	pg.stop(syscall.SIGINT, 5*time.Second)
	bin, err := findPostgres(0, postgresPlaces)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	tries := 0
	err = onFreePort(0, func(int) error {
		tries++
		c, err := startChild(childSpec{name: "postgres", path: filepath.Join(bin, "postgres"), args: postgresArgs(data, taken, true),
			dir: dir, log: filepath.Join(dir, "log"), as: e.as, dieWith: syscall.SIGQUIT})
		if err != nil {
			return err
		}
		return c.await(ctx, func() (bool, error) { return postmasterReady(data, c.pid()), nil })
	})
	if !errors.Is(err, errTaken) || tries != 5 || !strings.Contains(err.Error(), "five free ports") {
		t.Errorf("after %d tries: %v", tries, err)
	}
}
