// Package devstack runs a private PostgreSQL and a private Redis, found on the machine and started as
// children on loopback ports that are free: for `rosetree demo` and for tests.
//
// What it promises: the servers never run as root (PostgreSQL refuses to, so a root parent drops them
// to an unprivileged user); they end with their parent, also when the parent is killed with SIGKILL;
// what a killed parent leaves in its folder does not stop the next start.
//
// A test asks for what it needs, and cleans nothing up:
//
//	func TestSomething(t *testing.T) {
//		env := devstack.Test(t)                   // starts nothing by itself
//		db := env.Database(t, migrations.Up)      // a migrated database of this test's own
//		pool, err := pgxpool.New(t.Context(), db.URL) // as rosetree_api; db.OwnerURL is the superuser
//		rdb := env.Redis(t)                       // a redis-server of this test's own
//		opts, err := redis.ParseURL(rdb.URL)
//		rdb.Freeze(t)                             // …and faults: Thaw, Kill, Restart, Configure
//		link := devstack.StartLink(t, rdb.Addr)   // a network between: Cut, Stall, Delay, Retarget
//	}
//
// The first Database of a test binary starts one PostgreSQL for all of them (about 0.8 s) and migrates
// one template; each further one is a copy (about 25 ms). A redis-server takes about 15 ms, so each
// test gets its own. StartSentinel (a master, two replicas, three sentinels; ready in 2 s) and StartCluster
// (three masters with replicas; 3 s) make the larger set-ups.
package devstack
