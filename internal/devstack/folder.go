package devstack

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// folder is a data folder that this process alone uses:
//
//	lock          held while somebody uses the folder; names the process
//	secrets.json  the servers' passwords and their last ports
//	servers/      postgres/ and redis/, owned by who runs them
type folder struct {
	dir     string
	servers string
	as      *account
	lock    *os.File
	secrets secrets
}

type secrets struct {
	Owner        string `json:"rosetree_owner"`
	API          string `json:"rosetree_api"`
	Redis        string `json:"redis"`
	PostgresPort int    `json:"postgres_port,omitempty"` // kept, so that a URL somebody noted goes on working
	RedisPort    int    `json:"redis_port,omitempty"`
}

// ErrInUse is a folder that another process uses.
var ErrInUse = errors.New("is used by another process")

func openFolder(dir string, fresh bool) (_ *folder, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("devstack: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("devstack: %w", err)
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	f := &folder{dir: dir, as: as}
	if f.lock, err = lockFile(filepath.Join(dir, "lock")); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if fresh {
		if err := f.empty(); err != nil {
			return nil, err
		}
	}
	if err := f.place(); err != nil {
		return nil, err
	}
	return f, f.load()
}

// lockFile takes the lock at path. The kernel gives it back when we end, in whatever way, so there
// are no stale ones.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("devstack: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("devstack: lock %s: %w", path, err)
		}
		holder, _ := os.ReadFile(path)
		return nil, fmt.Errorf("devstack: %s %w (%s)", filepath.Dir(path), ErrInUse, strings.TrimSpace(string(holder)))
	}
	if err := errors.Join(file.Truncate(0), func() error { _, err := fmt.Fprintf(file, "process %d\n", os.Getpid()); return err }()); err != nil {
		file.Close()
		return nil, fmt.Errorf("devstack: %w", err)
	}
	return file, nil
}

// empty removes what a run left, servers that still run included, and nothing that is not ours.
func (f *folder) empty() error {
	servers := filepath.Join(f.dir, "servers")
	if real, err := filepath.EvalSymlinks(servers); err == nil {
		if err := endServersIn(real); err != nil {
			return err
		}
		if err := os.RemoveAll(real); err != nil {
			return fmt.Errorf("devstack: %w", err)
		}
	}
	for _, name := range []string{"servers", "secrets.json"} {
		if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
			return fmt.Errorf("devstack: %w", err)
		}
	}
	return nil
}

// endServersIn ends what a killed parent left running on the folder servers.
func endServersIn(servers string) error {
	err := endLeftover(leftPostgres(filepath.Join(servers, "postgres", "data")), syscall.SIGQUIT)
	found, _ := filepath.Glob(filepath.Join(servers, "redis*")) // only a malformed pattern is an error
	for _, dir := range found {
		err = errors.Join(err, endLeftover(leftRedis(dir), syscall.SIGKILL))
	}
	return err
}

// place makes the folder of the servers where the account that they run as can work. That is not so
// below a 0700 parent of root (/root, many CI workspaces): then they get a place outside, and servers
// is a link to it.
func (f *folder) place() error {
	link := filepath.Join(f.dir, "servers")
	if info, err := os.Lstat(link); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		f.servers, err = os.Readlink(link)
		if err != nil {
			return fmt.Errorf("devstack: %w", err)
		}
		return f.prepare()
	}
	f.servers = link
	inside := f.prepare()
	if inside == nil || f.as == nil {
		return inside
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(inside, err) // it has data, so the folder's parents were changed since
	}
	f.servers = outsidePlace(f.dir)
	if err := f.prepare(); err != nil {
		return errors.Join(inside, err)
	}
	note := filepath.Join(f.servers, "folder") // says whose place it is
	if err := os.Remove(note); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("devstack: %w", err)
	}
	if err := errors.Join(os.Symlink(f.servers, link), os.Symlink(f.dir, note)); err != nil {
		return fmt.Errorf("devstack: %w", err)
	}
	return nil
}

// prepare makes the folder servers, tries it, and gives all in it to who runs them: another user may
// have run them before.
func (f *folder) prepare() error {
	if err := os.MkdirAll(f.servers, 0o755); err != nil {
		return fmt.Errorf("devstack: %w", err)
	}
	if err := f.as.own(f.servers); err != nil {
		return fmt.Errorf("devstack: %w", err)
	}
	if err := f.as.canWrite(f.servers); err != nil {
		return err
	}
	for _, name := range []string{"postgres", "redis"} {
		dir := filepath.Join(f.servers, name)
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("devstack: %w", err)
		}
		if err := f.as.own(dir); err != nil {
			return fmt.Errorf("devstack: %w", err)
		}
	}
	return nil
}

// isOutside tells whether the servers' data is not in the folder itself.
func (f *folder) isOutside() bool { return filepath.Dir(f.servers) != f.dir }

func (f *folder) load() error {
	raw, err := os.ReadFile(filepath.Join(f.dir, "secrets.json"))
	switch {
	case err == nil:
		if err := json.Unmarshal(raw, &f.secrets); err != nil {
			return fmt.Errorf("devstack: %s/secrets.json is damaged: %w; start again with an empty folder (--fresh)", f.dir, err)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("devstack: %w", err)
	case madeBy(filepath.Join(f.servers, "postgres", "data")) != 0:
		return fmt.Errorf("devstack: %s holds a database and its secrets.json is gone: start again with an empty folder (--fresh)", f.dir)
	}
	f.secrets = secrets{Owner: rand.Text(), API: rand.Text(), Redis: rand.Text()}
	return f.save()
}

// save writes the secrets so that a crash leaves the old ones or the new ones.
func (f *folder) save() error {
	raw, err := json.MarshalIndent(f.secrets, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(f.dir, "secrets.json")
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("devstack: %w", err)
	}
	return os.Rename(path+".new", path)
}

func (f *folder) close() { f.lock.Close() }
