package alert

import (
	"fmt"
	"strings"
	"time"
)

func (s Series) promQL(suffix string) string {
	if s.Label == "" {
		return s.Name + suffix
	}
	return fmt.Sprintf("%s%s{%s=~%q}", s.Name, suffix, s.Label, strings.Join(s.Values, "|"))
}

func increase(s Series, suffix string, over time.Duration) string {
	return fmt.Sprintf("sum(increase(%s[%s]))", s.promQL(suffix), span(over))
}

func (m Share) promQL() string {
	part, whole := increase(m.Part, "", m.Window), increase(m.Whole, "", m.Window)
	return fmt.Sprintf("100 * (%s or vector(0)) / (%s >= %g)", part, whole, m.Least)
}

func (m Quantile) promQL() string {
	return fmt.Sprintf("1000 * histogram_quantile(%g, sum by (le) (increase(%s[%s])))", m.Q, m.Of.promQL("_bucket"), span(m.Window))
}

func (m Level) promQL() string { return fmt.Sprintf("%g * max(%s)", m.Scale, m.Of.promQL("")) }

func (m Filling) promQL() string {
	return fmt.Sprintf("max(100 * %s / (%s > 0))", m.Used.promQL(""), m.Max.promQL(""))
}

func (m Growth) promQL() string { return increase(m.Of, "", m.Window) }

func (m Age) promQL() string { return fmt.Sprintf("time() - min(%s > 0)", m.Of.promQL("")) }

func (m Share) series() []Series    { return []Series{m.Part, m.Whole} }
func (m Quantile) series() []Series { return []Series{m.Of} }
func (m Level) series() []Series    { return []Series{m.Of} }
func (m Filling) series() []Series  { return []Series{m.Used, m.Max} }
func (m Growth) series() []Series   { return []Series{m.Of} }
func (m Age) series() []Series      { return []Series{m.Of} }

// span is a duration as Prometheus writes it.
func span(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// anchor is a heading's address, as GitHub makes it.
func anchor(heading string) string { return strings.ToLower(heading) }
