package proof

import (
	bytes "encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// wrongClock is loaded into PostgreSQL and Redis: their wall clock is off by the seconds in a file that is called like the program, from
// one call to the next. The monotonic clock stays, as it does when somebody sets a clock. It asks the kernel itself, because who asks for
// the time may be in the middle of an allocation. (libfaketime would do, and leaves a piece of shared memory for each server that is killed.)
const wrongClock = `
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t right;
static const volatile int64_t *off = &right;

__attribute__((constructor)) static void look(void) {
	const char *dir = getenv("CLOCKS");
	char path[PATH_MAX];
	if (!dir) return;
	snprintf(path, sizeof path, "%s/%s", dir, program_invocation_short_name);
	int fd = open(path, O_RDONLY);
	if (fd < 0) return;
	void *page = mmap(NULL, sizeof *off, PROT_READ, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED) off = page;
	close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
	int failed = syscall(SYS_clock_gettime, clock, now);
	if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *off;
	return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
	struct timespec t;
	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &t)) return -1;
	now->tv_sec = t.tv_sec;
	now->tv_usec = t.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *now) {
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	if (now) *now = t.tv_sec;
	return t.tv_sec;
}
`

// wrongClocks is the folder with the file of each program.
type wrongClocks struct {
	t   *testing.T
	dir string
}

// newWrongClocks builds wrongClock in dir, for servers that are started with its environment.
func newWrongClocks(t *testing.T, dir string, programs ...string) wrongClocks {
	t.Helper()
	source := filepath.Join(dir, "clock.c")
	if err := os.WriteFile(source, []byte(wrongClock), 0o644); err != nil {
		t.Fatal(err)
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-O2", "-o", filepath.Join(dir, "clock.so"), source).CombinedOutput(); err != nil {
		t.Fatalf("a C compiler is needed (.ci/setup compiler): %v %s", err, out)
	}
	w := wrongClocks{t, dir}
	for _, program := range programs {
		w.set(program, 0)
	}
	return w
}

func (w wrongClocks) env() []string {
	return []string{"LD_PRELOAD=" + filepath.Join(w.dir, "clock.so"), "CLOCKS=" + w.dir}
}

// set sets the clock of a program by so much from the right time. The file is written in place: the program has it in its memory.
func (w wrongClocks) set(program string, by time.Duration) {
	w.t.Helper()
	f, err := os.OpenFile(filepath.Join(w.dir, program), os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.Write(bytes.NativeEndian.AppendUint64(nil, uint64(int64(by/time.Second))))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}
