package main

import (
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"sync/atomic"
	"time"
)

// spread counts durations in buckets that are 3 % wide, from a microsecond to an hour.
type spread struct {
	buckets [32 * 32]atomic.Uint64
	count   atomic.Uint64
	most    atomic.Int64
}

func (s *spread) add(d time.Duration) {
	us := max(d.Microseconds(), 0)
	s.buckets[bucketOf(us)].Add(1)
	s.count.Add(1)
	for {
		old := s.most.Load()
		if us <= old || s.most.CompareAndSwap(old, us) {
			return
		}
	}
}

func bucketOf(us int64) int {
	if us < 32 {
		return int(us)
	}
	e := bits.Len64(uint64(us)) - 6 // 32 … 63 after the shift
	return min((e+1)*32+int(us>>e)-32, 32*32-1)
}

func bucketTop(i int) int64 {
	if i < 32 {
		return int64(i)
	}
	e := i/32 - 1
	return (int64(i%32)+33)<<e - 1
}

// at is the duration below which a share of all are.
func (s *spread) at(share float64) time.Duration {
	want := uint64(math.Ceil(share * float64(s.count.Load())))
	var seen uint64
	for i := range s.buckets {
		if seen += s.buckets[i].Load(); seen >= want && seen > 0 {
			return time.Duration(min(bucketTop(i), s.most.Load())) * time.Microsecond
		}
	}
	return 0
}

// join adds what another has counted.
func (s *spread) join(o *spread) {
	for i := range s.buckets {
		s.buckets[i].Add(o.buckets[i].Load())
	}
	s.count.Add(o.count.Load())
	s.most.Store(max(s.most.Load(), o.most.Load()))
}

func (s *spread) reset() {
	for i := range s.buckets {
		s.buckets[i].Store(0)
	}
	s.count.Store(0)
	s.most.Store(0)
}

// loadReport is what a run found out.
type loadReport struct {
	Scenario  string                 `json:"scenario"`
	At        time.Time              `json:"at"`
	Seconds   float64                `json:"seconds"`
	Options   map[string]any         `json:"options"`
	Numbers   map[string]float64     `json:"numbers"`
	Latencies map[string]latencyLine `json:"latencies"`
	Server    map[string]float64     `json:"server"`

	order []string
}

type latencyLine struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p99_9_ms"`
	Max   float64 `json:"max_ms"`
}

func newLoadReport(name string, o loadOptions) *loadReport {
	return &loadReport{Scenario: name, At: time.Now().UTC(), Numbers: map[string]float64{}, Latencies: map[string]latencyLine{}, Server: map[string]float64{},
		Options: map[string]any{"url": o.URL, "sockets": o.Sockets, "symbols": o.Symbols, "of": o.Of, "max_hz": o.MaxHz, "ticks": o.Ticks, "rate": o.Rate,
			"stalled": o.Stalled, "count": o.Count, "duration": o.Duration.String()}}
}

func (r *loadReport) number(name string, v float64) {
	if _, known := r.Numbers[name]; !known {
		r.order = append(r.order, name)
	}
	r.Numbers[name] = v
}

// most keeps the largest of several.
func (r *loadReport) most(name string, v float64) {
	if old, known := r.Numbers[name]; !known || v > old {
		r.number(name, v)
	}
}

func (r *loadReport) latency(name string, s *spread) {
	if _, known := r.Latencies[name]; !known {
		r.order = append(r.order, name)
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	r.Latencies[name] = latencyLine{s.count.Load(), ms(s.at(0.5)), ms(s.at(0.99)), ms(s.at(0.999)), ms(time.Duration(s.most.Load()) * time.Microsecond)}
}

func (r *loadReport) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s · %.1f s\n", r.Scenario, r.Seconds)
	for _, name := range r.order {
		if l, ok := r.Latencies[name]; ok {
			fmt.Fprintf(w, "  %-34s p50 %8.2f ms   p99 %8.2f ms   p99.9 %8.2f ms   max %8.2f ms   of %d\n", name, l.P50, l.P99, l.P999, l.Max, l.Count)
			continue
		}
		fmt.Fprintf(w, "  %-34s %.6g\n", name, r.Numbers[name])
	}
	for _, name := range []string{"cpu_cores", "rss_mb", "rss_grew_mb"} {
		if v, ok := r.Server[name]; ok {
			fmt.Fprintf(w, "  server %-27s %.4g\n", name, v)
		}
	}
}

// progress is the one line that moves while something runs; nothing is shown where nobody looks.
func progress(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return
	}
	fmt.Fprintf(os.Stderr, "\r\x1b[K"+format, args...)
}
