package prices_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosetree/prices"
)

// gathered are the values of a metric by the value of its only label, or by "".
func gathered(t testing.TB, reg *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != name {
				continue
			}
			label := ""
			if len(m.GetLabel()) > 0 {
				label = m.GetLabel()[0].GetValue()
			}
			all[label] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

func TestSeriesAreThereAtZeroBeforeAnythingHappensAndTellHowOldPricesAre(t *testing.T) {
	reg := prometheus.NewRegistry()
	var cfg prices.Config
	if err := cfg.Feeds.UnmarshalText([]byte("sim?symbols=BTC-USD+EUR-USD,ingest")); err != nil {
		t.Fatal(err)
	}
	s, err := prices.New(cfg, nil, nil, nil, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	for name, labels := range map[string][]string{
		"rosetree_prices_ticks_refused_total":  {"unknown_symbol", "not_positive", "too_many_digits", "in_future", "not_newer", "outlier", "not_number"},
		"rosetree_prices_feed_malformed_total": {"sim", "ingest"},
		"rosetree_prices_feed_failures_total":  {"sim", "ingest"},
		"rosetree_prices_feed_lag_seconds":     {"sim", "ingest"},
		"rosetree_prices_age_seconds_max":      {"equity", "etf", "fund", "bond", "crypto", "fx", "index", "manual"},
		"rosetree_prices_instruments":          {"live", "stalled", "stale", "closed", "none"},
		"rosetree_prices_alert_webhooks_total": {"delivered", "failed", "given_up"},
		"rosetree_prices_alerts_fired_total":   {""},
		"rosetree_prices_alerts":               {""},
		"rosetree_prices_publish_waiting":      {""},
	} {
		got := gathered(t, reg, name)
		if len(got) != len(labels) {
			t.Errorf("%s: %v", name, got)
		}
		for _, l := range labels {
			if v, ok := got[l]; !ok || v != 0 && name != "rosetree_prices_instruments" {
				t.Errorf("%s{%s} = %v, %v", name, l, v, ok)
			}
		}
	}
	now := time.Now()
	s.Book.Apply([]prices.Tick{{Symbol: "BTC-USD", Price: decimalOf("90000"), At: now.Add(-10 * time.Minute), Source: "test"}})
	if age := gathered(t, reg, "rosetree_prices_age_seconds_max")["crypto"]; age < 600 || age > 700 {
		t.Errorf("the coin's price is %v s old", age)
	}
	if states := gathered(t, reg, "rosetree_prices_instruments"); states["stale"] != 1 || states["none"] != 1 {
		t.Errorf("%v", states)
	}
}
