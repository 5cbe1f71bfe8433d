package devstack

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options say where a stack keeps its data and how.
type Options struct {
	Dir     string                           // the data folder; made where it is missing
	Fresh   bool                             // empty the folder first
	Unsafe  bool                             // faster, and data is lost when the machine fails: for tests
	Cluster bool                             // a Redis Cluster of three masters with a replica each, empty at each start, instead of one Redis
	Env     []string                         // beyond what the servers get: a test's LD_PRELOAD
	Say     func(format string, args ...any) // progress for a person; nil says nothing
}

// Stack is a running PostgreSQL and a running Redis, or Redis Cluster.
type Stack struct {
	DatabaseURL string // as rosetree_api, the unprivileged role: works once the migrations have run
	OwnerURL    string // as the cluster's superuser: migrates
	RedisURL    string
	Folder      string // the servers' files, logs included

	folder   *folder
	postgres *postgres
	redis    *redisServer // nil where nodes are
	nodes    []*Redis
}

// Start starts both servers on opts.Dir. It returns a *MissingError where one is not installed, and
// ErrInUse where another process uses the folder.
func Start(ctx context.Context, opts Options) (_ *Stack, err error) {
	opts.Say = oneAtATime(opts.Say)
	if _, err := findRedis(redisPlaces); err != nil { // before anything is made: it says what to install
		return nil, err
	}
	f, err := openFolder(opts.Dir, opts.Fresh)
	if err != nil {
		return nil, err
	}
	if f.isOutside() {
		opts.Say("user %s, as whom the servers run, cannot enter %s: their data is in %s", f.as, f.dir, f.servers)
	}
	s := &Stack{Folder: f.servers, folder: f}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.startServers(ctx, opts); err != nil {
		s.Close()
		return nil, err
	}
	s.DatabaseURL, s.OwnerURL = s.postgres.runtimeURL(database), s.postgres.ownerURL(database)
	f.secrets.PostgresPort = s.postgres.port
	if opts.Cluster {
		s.RedisURL = clusterURL(f.secrets.Redis, s.nodes)
	} else {
		s.RedisURL, f.secrets.RedisPort = redisURL(f.secrets.Redis, s.redis.port), s.redis.port
	}
	if err := f.save(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// oneAtATime lets the servers, which start side by side, use one say.
func oneAtATime(say func(string, ...any)) func(string, ...any) {
	if say == nil {
		return func(string, ...any) {}
	}
	var mu sync.Mutex
	return func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		say(format, args...)
	}
}

func (s *Stack) startServers(ctx context.Context, opts Options) error {
	f := s.folder
	var g errgroup.Group
	g.Go(func() (err error) {
		dir := filepath.Join(f.servers, "postgres")
		if madeBy(filepath.Join(dir, "data")) == 0 {
			opts.Say("making a PostgreSQL cluster")
		}
		s.postgres, err = startPostgres(ctx, postgresSpec{dir: dir, as: f.as, unsafe: opts.Unsafe, env: opts.Env,
			owner: f.secrets.Owner, api: f.secrets.API, wish: f.secrets.PostgresPort})
		if err != nil {
			return err
		}
		opts.Say("PostgreSQL runs on %s", loopback(s.postgres.port))
		return s.postgres.createDatabase(ctx)
	})
	g.Go(func() error { return s.startRedis(ctx, opts) })
	return g.Wait()
}

func (s *Stack) startRedis(ctx context.Context, opts Options) (err error) {
	f := s.folder
	if opts.Cluster {
		opts.Say("making a Redis Cluster of six nodes")
		if s.nodes, err = startStackCluster(ctx, f.servers, f.as, f.secrets.Redis); err == nil {
			opts.Say("the Redis Cluster is whole: three masters, three replicas")
		}
		return err
	}
	s.redis, err = startRedis(ctx, redisSpec{dir: filepath.Join(f.servers, "redis"), as: f.as,
		password: f.secrets.Redis, wish: f.secrets.RedisPort, settings: keptRedis, env: opts.Env})
	if err != nil {
		return err
	}
	opts.Say("Redis runs on %s", loopback(s.redis.port))
	return nil
}

// keptRedis is how a Redis with sessions in it is to be run: nothing evicted, all written down, and
// the events sent by which servers learn that a session is gone.
var keptRedis = map[string]string{
	"notify-keyspace-events": "Kgxe", "maxmemory-policy": "noeviction", "appendonly": "yes", "save": `""`,
}

// Close ends both servers with their data saved, and gives the folder back.
func (s *Stack) Close() error {
	var g errgroup.Group
	if s.postgres != nil {
		g.Go(func() error { return s.postgres.stop(syscall.SIGINT, 10*time.Second) })
	}
	if s.redis != nil {
		g.Go(s.redis.shutdown)
	}
	g.Go(func() error { return endNodes(s.nodes) })
	return errors.Join(g.Wait(), s.folder.lock.Close())
}
