package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"time"
)

// prepare makes sessions, symbols and the crowd.
func (w *loadWorld) prepare(ctx context.Context, sessions int, subscribe func(int) string) (*loadCounts, []*loadSocket, error) {
	if err := w.enough(ctx, min(sessions, max(w.o.Sockets, 1))); err != nil {
		return nil, nil, err
	}
	if err := w.define(ctx); err != nil {
		return nil, nil, err
	}
	w.rssFirst = w.metric(ctx, "process_resident_memory_bytes")
	counts := &loadCounts{}
	sockets, err := w.crowd(ctx, w.o.Sockets, subscribe, counts)
	return counts, sockets, err
}

// measureStream warms up and measures while prices tick.
func (w *loadWorld) measureStream(ctx context.Context, counts *loadCounts) error {
	return w.streaming(ctx, func(ctx context.Context) error {
		if err := pause(ctx, w.o.Warm); err != nil {
			return err
		}
		counts.reset()
		w.ticks.Store(0)
		w.refused.Store(0)
		seconds, err := w.measured(ctx, func() {
			progress("%d updates, p99 %v", counts.updates.Load(), counts.age.at(0.99))
		})
		w.delivered(counts, seconds)
		return err
	})
}

func loadFanout(ctx context.Context, w *loadWorld) error {
	counts, _, err := w.prepare(ctx, 100, w.someSymbols)
	if err != nil {
		return err
	}
	return w.measureStream(ctx, counts)
}

// loadHotSymbol ticks symbol 0 alone; the quiet ones move once in a while, and must not be late for it.
func loadHotSymbol(ctx context.Context, w *loadWorld) error {
	if w.o.Of < 2 {
		return fmt.Errorf("--of is %d: one symbol is hot, and at least one other must be quiet", w.o.Of)
	}
	counts, _, err := w.prepare(ctx, 100, func(int) string {
		names := make([]string, w.o.Symbols)
		for i := range names {
			names[i] = loadSymbol(i)
		}
		return w.subscription(names)
	})
	if err != nil {
		return err
	}
	all := w.o.Of
	quiet := time.NewTicker(500 * time.Millisecond)
	defer quiet.Stop()
	qctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for n := 1; ; n++ {
			select {
			case <-qctx.Done():
				return
			case <-quiet.C:
				_ = w.post(qctx, 1+n%(all-1), 1, all) // a lost quiet tick shows in ticks_refused or nowhere: it is no figure
			}
		}
	}()
	w.o.Of = 1
	err = w.measureStream(ctx, counts)
	w.o.Of = all
	return err
}

// loadIdle watches sockets that get nothing.
func loadIdle(ctx context.Context, w *loadWorld) error {
	if _, err := w.measured(ctx, func() { progress("what the server does without sockets") }); err != nil {
		return err
	}
	alone := w.report.Server["cpu_cores"]
	counts, _, err := w.prepare(ctx, w.o.Sockets, w.someSymbols)
	if err != nil {
		return err
	}
	if err := pause(ctx, w.o.Warm); err != nil {
		return err
	}
	counts.reset()
	_, err = w.measured(ctx, func() { progress("%d messages", counts.messages.Load()) })
	n := float64(max(w.o.Sockets, 1))
	w.report.number("rss_kb_per_socket", w.report.Server["rss_grew_mb"]*1e3/n)
	w.report.number("cpu_us_per_socket_second", (w.report.Server["cpu_cores"]-alone)*1e6/n)
	w.report.number("cpu_cores_without_sockets", alone)
	w.report.number("messages", float64(counts.messages.Load()))
	return err
}

// loadSlowReaders measures the reading sockets alone and beside others that do not read, count times by turns, so that
// whatever else the machine does falls on both.
func loadSlowReaders(ctx context.Context, w *loadWorld) error {
	counts, _, err := w.prepare(ctx, 100, w.someSymbols)
	if err != nil {
		return err
	}
	alone, beside := &spread{}, &spread{}
	err = w.streaming(ctx, func(ctx context.Context) error {
		if err := pause(ctx, w.o.Warm); err != nil {
			return err
		}
		for range max(w.o.Count, 1) {
			if err := w.watchAges(ctx, counts, alone); err != nil {
				return err
			}
			if err := w.besideStalled(ctx, counts, beside); err != nil {
				return err
			}
		}
		return nil
	})
	w.report.latency("tick to client, nobody stalled", alone)
	w.report.latency("tick to client beside the stalled", beside)
	w.report.number("p99_ratio", float64(beside.at(0.99))/float64(max(alone.at(0.99), time.Microsecond)))
	return err
}

// watchAges adds what the reading sockets see for a while.
func (w *loadWorld) watchAges(ctx context.Context, counts *loadCounts, into *spread) error {
	counts.reset()
	_, err := w.measured(ctx, func() { progress("%d updates, p99 %v", counts.updates.Load(), counts.age.at(0.99)) })
	into.join(&counts.age)
	return err
}

// besideStalled does the same beside sockets that do not read, and notes what those take of memory.
func (w *loadWorld) besideStalled(ctx context.Context, counts *loadCounts, into *spread) error {
	live, kernel := w.living(ctx), kernelTCPBytes()
	stalled := make([]*loadSocket, w.o.Stalled)
	defer func() {
		for _, s := range stalled {
			if s != nil {
				s.nc.Close()
			}
		}
	}()
	for i := range stalled {
		var err error
		if stalled[i], err = w.stall(ctx, w.sessions[i%len(w.sessions)]); err != nil {
			return err
		}
	}
	if err := pause(ctx, 1500*time.Millisecond); err != nil { // until the kernel's queues are full: what they take before is delivery
		return err
	}
	if err := w.watchAges(ctx, counts, into); err != nil {
		return err
	}
	each := func(bytes float64) float64 { return bytes / 1e3 / float64(max(w.o.Stalled, 1)) }
	w.report.most("living_kb_per_stalled", each(w.living(ctx)-live))
	w.report.most("kernel_kb_per_stalled_both_ends", each(kernelTCPBytes()-kernel))
	return nil
}

// living is what the server's heap holds besides garbage, with the stacks. Resident memory would drown a hundred sockets: it
// moves by as much with the collector's room.
func (w *loadWorld) living(ctx context.Context) float64 {
	return w.metric(ctx, "go_gc_heap_live_bytes") + w.metric(ctx, "go_memstats_stack_inuse_bytes")
}

// stall opens a socket that subscribes to everything and never reads.
func (w *loadWorld) stall(ctx context.Context, session *loadSession) (*loadSocket, error) {
	s, err := dialLoad(ctx, w.address, session.token)
	if err != nil {
		return nil, err
	}
	if tcp, ok := s.nc.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4096)
	}
	return s, s.send(w.subscription([]string{"*"}))
}

var tcpMemory = regexp.MustCompile(`TCP: .* mem (\d+)`)

// kernelTCPBytes is what the kernel holds for all TCP connections of this machine; 0 where it does not say.
func kernelTCPBytes() float64 {
	text, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0
	}
	m := tcpMemory.FindSubmatch(text)
	if m == nil {
		return 0
	}
	pages, _ := strconv.Atoi(string(m[1]))
	return float64(pages * os.Getpagesize())
}

// loadReconnectStorm connects everyone at once, count times.
func loadReconnectStorm(ctx context.Context, w *loadWorld) error {
	if err := w.enough(ctx, min(w.o.Sockets, 200)); err != nil {
		return err
	}
	if err := w.define(ctx); err != nil {
		return err
	}
	for round := range max(w.o.Count, 1) {
		counts := &loadCounts{}
		began := time.Now()
		cpu := w.metric(ctx, "process_cpu_seconds_total")
		sockets, err := w.crowd(ctx, w.o.Sockets, w.someSymbols, counts)
		if err != nil {
			return err
		}
		seconds := time.Since(began).Seconds()
		w.report.number(fmt.Sprintf("round_%d_upgrades_per_second", round+1), float64(w.o.Sockets)/seconds)
		w.report.Server["cpu_cores"] = (w.metric(ctx, "process_cpu_seconds_total") - cpu) / seconds
		for _, s := range sockets {
			s.nc.Close()
		}
		for _, s := range sockets {
			<-s.closed
		}
	}
	w.report.Server["rss_mb"] = w.metric(ctx, "process_resident_memory_bytes") / 1e6
	return nil
}
