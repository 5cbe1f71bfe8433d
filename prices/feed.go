package prices

import (
	"context"
	"time"
)

// Feed is a source of ticks. It has many implementers: sim, replay, the exchanges, ingest.
type Feed interface {
	// Name is the feed's entry in PRICE_FEEDS without its options; it is the Source of its ticks.
	Name() string
	// Run reports ticks until ctx ends. An error is logged and the feed is run again after a pause.
	// emit must not be called after Run returned, and the slice is free for reuse once emit returns.
	Run(ctx context.Context, emit func([]Tick)) error
}

// catalogue is a feed that brings its own instruments: sim and replay.
type catalogue interface {
	Instruments() []Instrument
}

// past is a feed that knows daily closes: those of the sessions in [from, to).
type past interface {
	Past(from, to time.Time) []Close
}

// barPast is a feed that knows what prices did on each day: the bars of the sessions in [from, to).
type barPast interface {
	DayBars(from, to time.Time) []ohlc
}

// historian is a feed that can be asked for daily closes over the network.
type historian interface {
	History(ctx context.Context) ([]Close, error)
}

// delays are how far behind the market a source is by its nature. Those not named report at once.
var delays = map[string]time.Duration{
	ecbSource: 24 * time.Hour, // one rate a working day
}

func delayOf(source string) time.Duration { return delays[source] }
