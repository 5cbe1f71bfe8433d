package prices

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatWasRecordedIsPlayedAgainInItsRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cfg Config
		if err := cfg.Feeds.UnmarshalText([]byte("sim?rate=2&symbols=BTC-USD")); err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := Record(ctx, cfg, &file, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		r, err := readRecording(file.Bytes())
		if err != nil || len(r.ticks) < 19 {
			t.Fatalf("%d ticks, %v", len(r.ticks), err)
		}
		r.name, r.speed = "replay", 2
		b, began, played := testBook(), time.Now(), 0
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var took time.Duration
		if err := r.Run(ctx, func(ticks []Tick) {
			if !ticks[0].Price.Equal(r.ticks[played].Price) {
				t.Errorf("tick %d is %s, not %s", played, ticks[0].Price, r.ticks[played].Price)
			}
			played += b.Apply(ticks)
			took = time.Since(began)
		}); err != nil {
			t.Fatal(err)
		}
		if played != len(r.ticks) || took > 6*time.Second || took < 4*time.Second {
			t.Errorf("%d of %d in %s at double speed", played, len(r.ticks), took)
		}
	})
}

// A feed that went on after the refusal would be left behind in the bubble, and fail the test.
func TestIngestIsRefusedBeforeAnyFeedRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cfg Config
		if err := cfg.Feeds.UnmarshalText([]byte("replay:stocks,ingest")); err != nil {
			t.Fatal(err)
		}
		if err := Record(context.Background(), cfg, io.Discard, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "ingest is a stream") {
			t.Error(err)
		}
	})
}

func TestARecordingIsAFeed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ticks.jsonl")
	if err := os.WriteFile(path, fmt.Appendf(nil, `{"s":"ACME","p":"1.5","t":1790000000000}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := runFeed(t, "replay:"+path)
	eventually(t, "its price", s.costs("ACME", "1.5"))
	for text, want := range map[string]string{"": "empty", "{": "line 1", `{"s":"A","p":"NaN","t":1}`: "line 1", "\n" + `{"s":"A","p":"1","t":0}`: "line 2"} {
		if _, err := readRecording([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
