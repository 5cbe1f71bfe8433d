package auth

import "time"

// GuardDecision is what the automatic rollback decided last, and on what grounds.
type GuardDecision struct {
	At        time.Time `json:"at"`
	Server    string    `json:"server"`
	Cause     string    `json:"cause"` // "error_rate" or "latency"
	Attempts  int       `json:"attempts"`
	ErrorRate float64   `json:"error_rate"` // per cent of the last minute's attempts that failed because of us
	P95       float64   `json:"p95_ms"`
}
