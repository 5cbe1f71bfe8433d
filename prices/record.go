package prices

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// recordedTick is one line of a recording: {"s":"AAPL","p":"189.12","t":1790000000123,"source":"kraken"}.
type recordedTick struct {
	Symbol string `json:"s"`
	Price  string `json:"p"`
	Time   int64  `json:"t"`
	Source string `json:"source,omitempty"`
}

// Record runs the feeds of cfg by themselves, without a server, and writes what they report, believed
// or not, as JSON lines to w until ctx ends.
func Record(ctx context.Context, cfg Config, w io.Writer, log *slog.Logger) error {
	s, err := New(cfg, nil, nil, nil, log, nil)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(s.feeds, func(f Feed) bool { _, needsServer := f.(*ingest); return needsServer }) {
		return errors.New("ingest is a stream in Redis already; record the feed that fills it")
	}
	lines := make(chan recordedTick, 4096)
	feeds, ctx := errgroup.WithContext(ctx)
	for _, f := range s.feeds {
		feeds.Go(func() error {
			s.again(ctx, f.Name(), func() error {
				return s.report(ctx, f, func(ticks []Tick) {
					for _, t := range ticks {
						lines <- recordedTick{string(t.Symbol), t.Price.String(), t.At.UnixMilli(), t.Source}
					}
				})
			})
			return nil
		})
	}
	go func() { _ = feeds.Wait(); close(lines) }() // they return nothing but nil
	return writeRecording(w, lines)
}

func writeRecording(w io.Writer, lines <-chan recordedTick) error {
	out := bufio.NewWriter(w)
	encoder := json.NewEncoder(out)
	var failed error
	for line := range lines { // to the end also after a failure: a feed must not hang on a full channel
		if failed == nil {
			failed = encoder.Encode(line)
		}
	}
	return errors.Join(failed, out.Flush())
}

// recording is a feed that plays what Record wrote, in its rhythm and with the current time, once.
type recording struct {
	name        string
	ticks       []Tick // as recorded, in order
	instruments []Instrument
	speed       float64
}

// readRecording reads JSON lines. A line that is none is an error: a recording is not a wire.
func readRecording(content []byte) (*recording, error) {
	r := &recording{}
	seen := map[Symbol]bool{}
	scanner := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; scanner.Scan(); n++ {
		if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		var line recordedTick
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		t, why := postedTick{line.Symbol, line.Price, line.Time}.tick(time.Time{})
		if why != believed || line.Time <= 0 {
			return nil, fmt.Errorf("line %d is not a tick such as {\"s\":\"AAPL\",\"p\":\"189.12\",\"t\":1790000000123}", n)
		}
		r.ticks = append(r.ticks, t)
		if !seen[t.Symbol] {
			seen[t.Symbol] = true
			r.instruments = append(r.instruments, known(t.Symbol))
		}
	}
	if len(r.ticks) == 0 && scanner.Err() == nil {
		return nil, errors.New("the recording is empty")
	}
	return r, scanner.Err()
}

func (r *recording) Name() string { return r.name }

func (r *recording) Instruments() []Instrument { return r.instruments }

// Run plays the recording and then waits for ctx: what was recorded is over, not broken.
func (r *recording) Run(ctx context.Context, emit func([]Tick)) error {
	began, first := time.Now(), r.ticks[0].At
	for _, t := range r.ticks {
		due := began.Add(time.Duration(float64(t.At.Sub(first)) / r.speed))
		if wait := time.Until(due); wait > 0 && sleep(ctx, wait) != nil {
			return nil
		}
		t.At, t.Source = time.Now(), r.name
		emit([]Tick{t})
	}
	<-ctx.Done()
	return nil
}
