package prices

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"rosetree/internal/api"
)

// Config are the settings of the room.
type Config struct {
	Feeds FeedList `env:"PRICE_FEEDS" envDefault:"sim" doc:"where prices come from, a comma list: sim, replay:market, replay:FILE.csv, coinbase, kraken, binance, alpaca, finnhub, ecb, ingest; options follow a question mark, as in sim?seed=7&rate=2"`

	AlpacaKey    string     `env:"ALPACA_KEY_ID" doc:"key id of the alpaca feed"`
	AlpacaSecret api.Secret `env:"ALPACA_SECRET_KEY" secret:"true" doc:"secret of the alpaca feed"`
	FinnhubKey   api.Secret `env:"FINNHUB_API_KEY" secret:"true" doc:"key of the finnhub feed"`
}

// Validate names the keys that the chosen feeds lack.
func (c Config) Validate() []error {
	var wrong []error
	for _, s := range c.Feeds.specs {
		switch {
		case s.name == "alpaca" && c.AlpacaKey == "":
			wrong = append(wrong, errors.New("ALPACA_KEY_ID is not set: PRICE_FEEDS names alpaca, which needs it"))
		case s.name == "alpaca" && c.AlpacaSecret == "":
			wrong = append(wrong, errors.New("ALPACA_SECRET_KEY is not set: PRICE_FEEDS names alpaca, which needs it"))
		case s.name == "finnhub" && c.FinnhubKey == "":
			wrong = append(wrong, errors.New("FINNHUB_API_KEY is not set: PRICE_FEEDS names finnhub, which needs it"))
		}
	}
	return wrong
}

// FeedList is the value of PRICE_FEEDS.
type FeedList struct{ specs []feedSpec }

// feedSpec is one entry: NAME[:ARGUMENT][?OPTIONS].
type feedSpec struct {
	name, argument string
	options        url.Values
}

// UnmarshalText reads the comma list, and makes each feed once, so that what is wrong is said before
// anything starts.
func (l *FeedList) UnmarshalText(text []byte) error {
	l.specs = nil
	var wrong []error
	for entry := range strings.SplitSeq(string(text), ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		spec, err := parseSpec(entry)
		if err != nil {
			wrong = append(wrong, err)
		} else if slices.ContainsFunc(l.specs, func(s feedSpec) bool { return s.name == spec.name && s.name != "replay" }) {
			wrong = append(wrong, fmt.Errorf("%s is there twice", spec.name))
		}
		l.specs = append(l.specs, spec)
	}
	if len(l.specs) == 0 {
		wrong = append(wrong, errors.New("no feed is named"))
	}
	if len(wrong) == 0 {
		_, err := l.make(feedDeps{})
		return err
	}
	return errors.Join(wrong...)
}

// String is the list as it was written, for the page of settings.
func (l FeedList) String() string {
	var all []string
	for _, s := range l.specs {
		all = append(all, s.String())
	}
	return strings.Join(all, ",")
}

func (s feedSpec) String() string {
	text := s.name
	if s.argument != "" {
		text += ":" + s.argument
	}
	if len(s.options) > 0 {
		text += "?" + s.options.Encode()
	}
	return text
}

func parseSpec(entry string) (feedSpec, error) {
	head, query, _ := strings.Cut(entry, "?")
	name, argument, _ := strings.Cut(head, ":")
	spec := feedSpec{name: name, argument: argument}
	if feedMakers[name] == nil {
		return spec, fmt.Errorf("%q is not a feed: there are %s", name, strings.Join(feedNames(), ", "))
	}
	if err := spec.check(); err != nil {
		return spec, err
	}
	var err error
	if spec.options, err = url.ParseQuery(query); err != nil {
		return spec, fmt.Errorf("%s: the options after ? are not of the form a=1&b=2", name)
	}
	return spec, nil
}

func feedNames() []string {
	var names []string
	for name := range feedMakers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// make builds the feeds. sim comes last, because it leaves out what the others bring.
func (l FeedList) make(deps feedDeps) ([]Feed, error) {
	specs := slices.Clone(l.specs)
	slices.SortStableFunc(specs, func(a, b feedSpec) int { return cmp.Compare(lateness(a), lateness(b)) })
	brought := map[Symbol]bool{}
	deps.brought, deps.now = func(s Symbol) bool { return brought[s] }, time.Now()
	var feeds []Feed
	var wrong []error
	for _, s := range specs {
		f, err := feedMakers[s.name](s, deps.of(s.name))
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", s.name, err))
			continue
		}
		if c, ok := f.(catalogue); ok {
			for _, i := range c.Instruments() {
				brought[i.Symbol] = true
			}
		}
		feeds = append(feeds, f)
	}
	return feeds, errors.Join(wrong...)
}

func lateness(s feedSpec) int {
	if s.name == "sim" {
		return 1
	}
	return 0
}
