package prices

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// market holds real prices; market/SOURCES says where they come from and under which licence.
//
//go:embed market/*.csv
var market embed.FS

// dataSets are the embedded files by the name that replay: takes.
var dataSets = map[string][]string{
	"market": {"stocks-monthly-2000-2010.csv", "sp500-daily-2000-2020.csv"},
	"stocks": {"stocks-monthly-2000-2010.csv"},
	"sp500":  {"sp500-daily-2000-2020.csv"},
}

// newReplay is the feed "replay:NAME" or "replay:FILE", with ?seed=1&rate=1&speed=1&symbol=NAME: NAME
// is an embedded set of real bars (market, stocks, sp500), FILE a CSV of bars or a recording (.jsonl).
func newReplay(what string, values url.Values, now time.Time) (Feed, error) {
	o := readOptions(values)
	p := &player{name: "replay", speed: o.number("speed", 1, 1e6), rate: o.number("rate", 1, 1000)}
	seed, fallback := o.seed(), o.symbols("symbol")
	if err := o.err(); err != nil {
		return nil, err
	}
	if len(fallback) == 0 {
		fallback = []Symbol{""}
	}
	files, err := barFiles(what)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(what, ".jsonl") {
		r, err := readRecording(files[0].content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", files[0].name, err)
		}
		r.name, r.speed = p.name, p.speed
		return r, nil
	}
	for _, f := range files {
		symbol := fallback[0]
		if f.name == "sp500-daily-2000-2020.csv" {
			symbol = "SPX"
		}
		series, err := readBars(bytes.NewReader(f.content), symbol)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		p.courses = append(p.courses, playable(series, seed, now)...)
	}
	slices.SortFunc(p.courses, func(a, b course) int {
		return strings.Compare(string(a.instrument().Symbol), string(b.instrument().Symbol))
	})
	return p, nil
}

type barFile struct {
	name    string
	content []byte
}

func barFiles(what string) ([]barFile, error) {
	if what == "" {
		return nil, fmt.Errorf("say what to replay: replay:market, replay:stocks, replay:sp500 or replay:FILE")
	}
	var files []barFile
	for _, name := range dataSets[what] {
		content, err := market.ReadFile("market/" + name)
		if err != nil {
			return nil, err
		}
		files = append(files, barFile{name, content})
	}
	if files != nil {
		return files, nil
	}
	content, err := readAtMost(what, 64<<20)
	return []barFile{{filepath.Base(what), content}}, err
}

func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return content, err
}

// barDecimals: the embedded files' further digits are the noise of 32-bit floats ("1455.219971").
const barDecimals = 2

// playable are the series as courses, moved to the present together.
func playable(series map[Symbol][]bar, seed uint64, now time.Time) []course {
	var end time.Time
	for _, bars := range series {
		if last := bars[len(bars)-1].until; last.After(end) {
			end = last
		}
	}
	shift := era(end, now)
	var all []course
	for s, bars := range series {
		for i := range bars {
			b := &bars[i]
			b.open, b.high, b.low, b.close = b.open.Round(barDecimals), b.high.Round(barDecimals), b.low.Round(barDecimals), b.close.Round(barDecimals)
		}
		c := &barCourse{i: known(s), bars: bars, monthly: isMonthly(bars), decimals: barDecimals, noise: newNoise(seed, s, 0.22)}
		c.i.Calendar, c.i.PriceAdjusted = "24x7", true
		c.i.Name += datedAs(bars, shift)
		c.move(shift)
		all = append(all, c)
	}
	return all
}

// datedAs tells a user what they look at: " (prices of 2000–2010, re-dated)".
func datedAs(bars []bar, shift time.Duration) string {
	if shift == 0 {
		return ""
	}
	return fmt.Sprintf(" (prices of %d–%d, re-dated)", bars[0].from.Year(), bars[len(bars)-1].from.Year())
}
