package alert

import (
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// snapshot is what the metrics said at one time.
type snapshot struct {
	at       time.Time
	families map[string]*dto.MetricFamily
}

// record is the recent past of a server's metrics, oldest first: as much of it as the longest window needs.
type record struct{ past []snapshot }

func (r *record) add(at time.Time, families []*dto.MetricFamily, wanted map[string]bool, keep time.Duration) {
	s := snapshot{at: at, families: make(map[string]*dto.MetricFamily, len(wanted))}
	for _, f := range families {
		if wanted[f.GetName()] {
			s.families[f.GetName()] = f
		}
	}
	r.past = append(r.past, s)
	for len(r.past) > 2 && at.Sub(r.past[1].at) >= keep {
		r.past = r.past[1:]
	}
}

func (r *record) now() snapshot { return r.past[len(r.past)-1] }

// before is the newest snapshot that is at least window old, else the oldest there is.
func (r *record) before(window time.Duration) snapshot {
	latest := r.now().at
	for i := len(r.past) - 1; i > 0; i-- {
		if latest.Sub(r.past[i].at) >= window {
			return r.past[i]
		}
	}
	return r.past[0]
}

// family is the metric that a registry gathers: a histogram's count is a series of its own only to Prometheus.
func (s Series) family() string { return strings.TrimSuffix(s.Name, "_count") }

// children are the series' metrics in a snapshot.
func (s snapshot) children(of Series) []*dto.Metric {
	f := s.families[of.family()]
	if f == nil {
		return nil
	}
	if of.Label == "" {
		return f.GetMetric()
	}
	var out []*dto.Metric
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == of.Label && slices.Contains(of.Values, l.GetValue()) {
				out = append(out, m)
			}
		}
	}
	return out
}

func (s snapshot) count(of Series) (total float64, found bool) {
	for _, m := range s.children(of) {
		total += m.GetCounter().GetValue() // a histogram's count is the same question: how many
		total += float64(m.GetHistogram().GetSampleCount())
		found = true
	}
	return total, found
}

func (r *record) growth(of Series, window time.Duration) (float64, bool) {
	now, found := r.now().count(of)
	then, _ := r.before(window).count(of)
	return now - then, found
}

func (m Growth) read(r *record) (float64, bool) { return r.growth(m.Of, m.Window) }

func (m Share) read(r *record) (float64, bool) {
	part, _ := r.growth(m.Part, m.Window)
	whole, found := r.growth(m.Whole, m.Window)
	if !found || whole < m.Least || whole == 0 {
		return 0, false
	}
	return 100 * part / whole, true
}

func (m Level) read(r *record) (float64, bool) {
	top, found := math.Inf(-1), false
	for _, c := range r.now().children(m.Of) {
		top, found = max(top, c.GetGauge().GetValue()*m.Scale), true
	}
	return top, found
}

func (m Age) read(r *record) (float64, bool) {
	oldest, found := math.Inf(1), false
	for _, c := range r.now().children(m.Of) {
		if v := c.GetGauge().GetValue(); v > 0 {
			oldest, found = min(oldest, v), true
		}
	}
	return float64(r.now().at.UnixMilli())/1000 - oldest, found
}

func (m Filling) read(r *record) (float64, bool) {
	top, found := 0.0, false
	used, limits := r.now().children(m.Used), r.now().children(m.Max)
	for i, u := range used { // both are gathered in the order of their labels
		if i < len(limits) && limits[i].GetGauge().GetValue() > 0 {
			top, found = max(top, 100*u.GetGauge().GetValue()/limits[i].GetGauge().GetValue()), true
		}
	}
	return top, found
}

func (m Quantile) read(r *record) (float64, bool) {
	grown := map[float64]float64{}
	add := func(s snapshot, sign float64) {
		for _, c := range s.children(m.Of) {
			h := c.GetHistogram()
			for _, b := range h.GetBucket() {
				grown[b.GetUpperBound()] += sign * float64(b.GetCumulativeCount())
			}
			grown[math.Inf(1)] += sign * float64(h.GetSampleCount())
		}
	}
	add(r.now(), 1)
	add(r.before(m.Window), -1)
	bounds := make([]float64, 0, len(grown))
	for b := range grown {
		bounds = append(bounds, b)
	}
	sort.Float64s(bounds)
	v, known := interpolate(bounds, grown, m.Q)
	return 1000 * v, known
}

// interpolate is Prometheus's histogram_quantile: linear inside the bucket in which the quantile falls.
func interpolate(bounds []float64, cumulative map[float64]float64, q float64) (float64, bool) {
	if len(bounds) < 2 || cumulative[bounds[len(bounds)-1]] <= 0 {
		return 0, false
	}
	rank := q * cumulative[bounds[len(bounds)-1]]
	i := sort.Search(len(bounds)-1, func(i int) bool { return cumulative[bounds[i]] >= rank })
	if i == len(bounds)-1 {
		return bounds[i-1], true
	}
	from, under := 0.0, 0.0
	if i > 0 {
		from, under = bounds[i-1], cumulative[bounds[i-1]]
	}
	return from + (bounds[i]-from)*(rank-under)/(cumulative[bounds[i]]-under), true
}
