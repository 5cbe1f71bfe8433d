package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
)

// loadOptions is what the load generator is asked to do.
type loadOptions struct {
	URL          string
	MetricsURL   string
	RedisURL     string
	redis        *redis.Options // what RedisURL says; nil: nothing
	Accounts     []string
	Users        int
	Sessions     int
	Sockets      int
	Symbols      int
	Of           int
	MaxHz        float64
	Ticks        int
	Rate         int
	Stalled      int
	Count        int
	Duration     time.Duration
	Warm         time.Duration
	Mass         bool
	Remote       bool
	JSON         bool
	legacySecret string
}

// loadScenario is one kind of load. What it measures it writes to the report.
type loadScenario struct {
	doc      string
	flags    string // those that mean something in it, beside those of every scenario
	defaults loadOptions
	longest  time.Duration // that it may measure; 0: maxLoad
	run      func(ctx context.Context, w *loadWorld) error
}

const (
	maxLoad    = 10 * time.Minute
	crowdFlags = "sessions sockets symbols of max-hz "
)

var loadScenarios = map[string]loadScenario{
	"fanout": {doc: "many sockets, each on some of many symbols that tick", flags: crowdFlags + "ticks duration warm",
		defaults: loadOptions{Sockets: 1000, Symbols: 10, Of: 500, Ticks: 1000}, run: loadFanout},
	"hot-symbol": {doc: "everyone watches the same busy symbol and quiet ones", flags: crowdFlags + "ticks duration warm",
		defaults: loadOptions{Sockets: 1000, Symbols: 20, Of: 20, Ticks: 500}, run: loadHotSymbol},
	"idle": {doc: "sockets that are subscribed and see nothing: memory and CPU of each", flags: crowdFlags + "duration warm",
		defaults: loadOptions{Sockets: 10000, Symbols: 10, Of: 500}, run: loadIdle},
	"slow-readers": {doc: "some sockets do not read, by turns; what that does to the others", flags: crowdFlags + "ticks duration warm stalled count",
		defaults: loadOptions{Sockets: 1000, Symbols: 10, Of: 500, Ticks: 1000, Count: 4}, longest: 6 * time.Second, run: loadSlowReaders}, // a reader that is stalled for ten seconds is closed
	"revoke": {doc: "sessions are revoked one by one, then by the thousand", flags: crowdFlags + "ticks warm rate count mass redis",
		defaults: loadOptions{Sockets: 1000, Symbols: 10, Of: 500, Ticks: 1000, Rate: 100}, run: loadRevoke},
	"login": {doc: "log-ins with a password, all at once", flags: "count",
		defaults: loadOptions{Count: 1000}, run: loadLogin},
	"validate": {doc: "requests that only ask who the caller is, at an open rate", flags: "sessions rate duration",
		defaults: loadOptions{Rate: 500}, run: loadValidate},
	"mixed": {doc: "half legacy tokens, half sessions: requests and sockets", flags: crowdFlags + "ticks rate duration",
		defaults: loadOptions{Rate: 500, Sockets: 200, Symbols: 10, Of: 100, Ticks: 200}, run: loadMixed},
	"reconnect-storm": {doc: "everyone connects at once, again and again", flags: crowdFlags + "count",
		defaults: loadOptions{Sockets: 2000, Count: 3, Symbols: 10, Of: 100}, run: loadReconnectStorm},
	"ledger": {doc: "a transaction on one device, the push on another", flags: "sessions rate count",
		defaults: loadOptions{Rate: 20, Count: 300}, run: loadLedger},
}

func newLoad() *cobra.Command {
	o := &loadOptions{}
	names := slices.Sorted(maps.Keys(loadScenarios))
	var doc strings.Builder
	for _, n := range names {
		fmt.Fprintf(&doc, "  %-16s %s\n", n, loadScenarios[n].doc)
	}
	cmd := &cobra.Command{
		Use:   "load SCENARIO",
		Short: "Load generator with a report",
		Long: "Put load on a server and report what it did. Scenarios:\n" + doc.String() +
			"\nLog-ins come from --account (an admin among them delivers prices and revokes). With LEGACY_JWT_SECRET in the\nenvironment, as the server has it, many sessions are made without a password each.",
		ValidArgs: names,
		Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs, func(cmd *cobra.Command, args []string) error {
			return o.complete(cmd, args[0])
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runLoad(cmd.Context(), args[0], loadScenarios[args[0]], *o)
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *loadOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.URL, "url", "http://127.0.0.1:8080", "the server")
	f.StringVar(&o.MetricsURL, "metrics", "", "its metrics (default: /metrics of the server)")
	f.StringVar(&o.RedisURL, "redis", "", "scenario revoke: delete session keys here instead of asking the admin API")
	f.StringArrayVar(&o.Accounts, "account", nil, "EMAIL:PASSWORD of a log-in; repeat it")
	f.IntVar(&o.Users, "users", 0, "register this many users more")
	f.IntVar(&o.Sessions, "sessions", 0, "sessions that the sockets share (default: as many as the scenario needs)")
	f.IntVar(&o.Sockets, "sockets", 0, "sockets")
	f.IntVar(&o.Symbols, "symbols", 0, "symbols that each socket watches")
	f.IntVar(&o.Of, "of", 0, "symbols that there are")
	f.Float64Var(&o.MaxHz, "max-hz", 0, "max_hz of the subscriptions (0: none)")
	f.IntVar(&o.Ticks, "ticks", 0, "ticks a second")
	f.IntVar(&o.Rate, "rate", 0, "requests, writes or revocations a second")
	f.IntVar(&o.Stalled, "stalled", 100, "scenario slow-readers: sockets that stop reading")
	f.IntVar(&o.Count, "count", 0, "how often")
	f.BoolVar(&o.Mass, "mass", false, "scenario revoke: all at once, and none singly before")
	f.DurationVar(&o.Duration, "duration", 15*time.Second, "how long to measure, up to 10m")
	f.DurationVar(&o.Warm, "warm", 3*time.Second, "how long to wait before")
	f.BoolVar(&o.Remote, "remote", false, "allow a server that is not on this machine: it must be yours")
	f.BoolVar(&o.JSON, "json", false, "print the report as JSON")
}

// complete fills in what the scenario wants by default and refuses what would hurt, or would mean nothing.
func (o *loadOptions) complete(cmd *cobra.Command, name string) error {
	s := loadScenarios[name]
	if err := s.refuseFlags(cmd, name); err != nil {
		return err
	}
	given, longest := cmd.Flags().Changed, cmp.Or(s.longest, maxLoad)
	for _, n := range []struct {
		flag string
		to   *int
		by   int
	}{{"sockets", &o.Sockets, s.defaults.Sockets}, {"symbols", &o.Symbols, s.defaults.Symbols}, {"of", &o.Of, s.defaults.Of},
		{"ticks", &o.Ticks, s.defaults.Ticks}, {"rate", &o.Rate, s.defaults.Rate}, {"count", &o.Count, s.defaults.Count}} {
		if !given(n.flag) {
			*n.to = n.by
		}
	}
	if !given("duration") {
		o.Duration = min(o.Duration, longest)
	}
	o.legacySecret = os.Getenv("LEGACY_JWT_SECRET")
	o.URL = strings.TrimSuffix(o.URL, "/")
	if o.MetricsURL == "" {
		o.MetricsURL = o.URL + "/metrics"
	}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Scheme != "http" || u.Host == "":
		return fmt.Errorf("--url %q is not of the form http://HOST:PORT", o.URL)
	case !o.Remote && !loopback(u.Hostname()):
		return fmt.Errorf("%s is not this machine; load is only for servers of your own: say --remote", u.Hostname())
	case len(o.Accounts) == 0 && o.Users == 0:
		return errors.New("no log-in: give --account EMAIL:PASSWORD (rosetree demo prints some) or --users N")
	case o.Duration <= 0 || o.Duration > longest:
		return fmt.Errorf("--duration %v: above 0 and up to %v in the scenario %s", o.Duration, longest, name)
	case o.Mass && (given("count") || given("rate")):
		return errors.New("--count and --rate mean nothing with --mass: all are revoked at once")
	case o.Sockets > 50000 || o.Ticks > 20000 || o.Rate > 20000 || o.Count > 100000 || o.Sessions > 50000 || o.Users > 2000:
		return errors.New("too much: up to 50000 sockets, 20000 ticks or requests a second, 2000 users")
	case min(o.Users, o.Sessions, o.Sockets, o.Symbols, o.Of, o.Ticks, o.Rate, o.Stalled, o.Count) < 0 || o.MaxHz < 0 || o.Warm < 0:
		return errors.New("a count, a rate or a time below 0 cannot be played")
	case o.Symbols > o.Of:
		return fmt.Errorf("%d symbols for each socket, but --of is %d", o.Symbols, o.Of)
	}
	if o.RedisURL != "" {
		if o.redis, err = redis.ParseURL(o.RedisURL); err != nil { // which may hold a password, and the error repeats it
			return errors.New("--redis is not of the form redis://:PASSWORD@HOST:PORT/0")
		}
	}
	for _, a := range o.Accounts {
		if email, password, ok := strings.Cut(a, ":"); !ok || email == "" || password == "" {
			return errors.New("--account is EMAIL:PASSWORD")
		}
	}
	return nil
}

// refuseFlags names the flags that mean something in other scenarios only.
func (s loadScenario) refuseFlags(cmd *cobra.Command, name string) error {
	var wrong []string
	for _, other := range loadScenarios {
		for flag := range strings.FieldsSeq(other.flags) {
			if cmd.Flags().Changed(flag) && !slices.Contains(strings.Fields(s.flags), flag) && !slices.Contains(wrong, "--"+flag) {
				wrong = append(wrong, "--"+flag)
			}
		}
	}
	if wrong == nil {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("%s: not for the scenario %s, which takes --%s", strings.Join(wrong, ", "), name, strings.Join(strings.Fields(s.flags), ", --"))
}

func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	ips, err := net.LookupIP(host)
	return err == nil && len(ips) > 0 && !slices.ContainsFunc(ips, func(ip net.IP) bool { return !ip.IsLoopback() })
}

func runLoad(ctx context.Context, name string, s loadScenario, o loadOptions) error {
	w, err := newLoadWorld(ctx, name, o)
	if err != nil {
		return err
	}
	defer w.close()
	began := time.Now()
	if err := s.run(ctx, w); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w.report.Seconds = time.Since(began).Seconds()
	if o.JSON {
		return json.NewEncoder(os.Stdout).Encode(w.report)
	}
	w.report.print(os.Stdout)
	return nil
}
