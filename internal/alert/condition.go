// Package alert knows when an operator must be told. Each condition is written once, as a Go value: Prometheus rules are
// printed from it (deploy/prometheus), the server's own notifier evaluates it for those who run no Prometheus, and one
// test holds the two verdicts equal.
package alert

import (
	"fmt"
	"time"
)

// Severity says how soon a person must look.
type Severity string

// Critical wakes somebody, Warning waits for working hours, Business is the product's promise to its users.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Business Severity = "business"
)

// Condition is one thing that an operator is told of: a measure on the wrong side of its limit for some time.
type Condition struct {
	Name     string
	Severity Severity
	Says     string // what is wrong, to a person who has just been woken; one sentence
	Measure  Measure
	Limit    float64 // in Unit
	Below    bool    // wrong is below the limit; otherwise above
	Unit     string
	For      time.Duration // how long it must last
}

// Measure is a figure over the recent past: in the words of Prometheus, and as a server reads it from its own metrics.
type Measure interface {
	promQL() string
	read(r *record) (value float64, known bool)
	series() []Series
}

// Series is a metric, or those of its children whose label has one of the values.
type Series struct {
	Name   string
	Label  string
	Values []string
}

// Share is what part of the whole is, in per cent, over the last Window. Fewer than Least events say nothing.
type Share struct {
	Part, Whole Series
	Window      time.Duration
	Least       float64
}

// Quantile is an upper estimate from a histogram of seconds, in milliseconds, over the last Window.
type Quantile struct {
	Of     Series
	Q      float64
	Window time.Duration
}

// Level is the highest of a gauge's children, times Scale.
type Level struct {
	Of    Series
	Scale float64
}

// Filling is how much of a limit is used, in per cent, where it is fullest.
type Filling struct{ Used, Max Series }

// Growth is how much a counter grew over the last Window.
type Growth struct {
	Of     Series
	Window time.Duration
}

// Age is how long ago the time was that a gauge holds, in seconds.
type Age struct{ Of Series }

func (c Condition) wrong(v float64) bool {
	if c.Below {
		return v < c.Limit
	}
	return v > c.Limit
}

func (c Condition) sign() string {
	if c.Below {
		return "<"
	}
	return ">"
}

// Runbook is where the operator reads on, from the root of the repository.
func (c Condition) Runbook() string { return "deploy/runbooks/alerts.md#" + anchor(c.Name) }

func (c Condition) reads(v float64) string {
	return fmt.Sprintf("%.3g %s (limit %g)", v, c.Unit, c.Limit)
}

// Series are all that the conditions stand on: a server must show each of them from its start.
func (c Condition) Series() []Series { return c.Measure.series() }
