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

// embeddedSymbol is whose prices an embedded file has that has no column for it.
var embeddedSymbol = map[string]Symbol{"sp500-daily-2000-2020.csv": "SPX"}

// newReplay is the feed "replay:NAME" or "replay:FILE", with ?seed=1&rate=1&speed=1: NAME is an embedded set of real
// bars (market, stocks, sp500), FILE a CSV of bars, whose they are with &symbol=NAME where it has no such column, or a
// recording (.jsonl), which takes only speed.
func newReplay(what string, values url.Values, now time.Time) (Feed, error) {
	o := readOptions(values)
	speed := o.number("speed", 1, 1e6)
	if strings.HasSuffix(what, ".jsonl") {
		return newRecording(what, speed, o.err())
	}
	p := &player{name: "replay", speed: speed, rate: o.number("rate", 1, 1000)}
	seed, whose := o.seed(), Symbol("")
	if _, embedded := dataSets[what]; !embedded {
		whose = o.symbol("symbol")
	}
	if err := o.err(); err != nil {
		return nil, err
	}
	files, err := barFiles(what, whose)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		series, err := readBars(bytes.NewReader(f.content), f.whose)
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

// newRecording is a feed that plays a file of Record's. wrong is what is wrong with its options.
func newRecording(path string, speed float64, wrong error) (Feed, error) {
	if wrong != nil {
		return nil, wrong
	}
	content, err := readAtMost(path, maxFile)
	if err != nil {
		return nil, err
	}
	r, err := readRecording(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	r.name, r.speed = "replay", speed
	return r, nil
}

// barFile is a CSV of bars.
type barFile struct {
	name    string
	content []byte
	whose   Symbol // the prices are, where no column says it
}

// barFiles are an embedded set's, or the one that what names.
func barFiles(what string, whose Symbol) ([]barFile, error) {
	if what == "" {
		return nil, fmt.Errorf("say what to replay: replay:market, replay:stocks, replay:sp500 or replay:FILE")
	}
	var files []barFile
	for _, name := range dataSets[what] {
		content, err := market.ReadFile("market/" + name)
		if err != nil {
			return nil, err
		}
		files = append(files, barFile{name, content, embeddedSymbol[name]})
	}
	if files != nil {
		return files, nil
	}
	content, err := readAtMost(what, maxFile)
	return []barFile{{filepath.Base(what), content, whose}}, err
}

// maxFile bounds what is read of a file that somebody names.
const maxFile = 64 << 20

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
