package portfolio

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"rosetree/auth"
)

// ImportsChannel is where a user's connections hear how far their long imports are.
const ImportsChannel = "imports"

// ImportProgress says how far an import is. The last one of a run is done or failed.
type ImportProgress struct {
	Type      string `json:"type"` // import
	Run       string `json:"run"`  // of the import's report, where it was kept
	Portfolio ID     `json:"portfolio"`
	DryRun    bool   `json:"dry_run"`
	Phase     string `json:"phase"`
	Done      int    `json:"done"` // rows, of Total, in this phase
	Total     int    `json:"total"`
}

// The phases of an import.
const (
	phaseChecking = "checking" // each row gets its verdict
	phaseWriting  = "writing"
	phaseDone     = "done"
	phaseFailed   = "failed" // nothing was changed; the answer to the request says why
)

// longImport is from how many rows on an import tells how far it is, and how often.
const longImport = 2_000

// importNews is a message between servers.
type importNews struct {
	User auth.UserID `json:"u"`
	ImportProgress
}

// progress tells how far t is: no message waits, and none is worth waiting for but the last.
func (t *taking) progress(phase string, done int) {
	total := len(t.file.Rows)
	if phase == phaseWriting {
		total = len(t.entries)
	}
	if len(t.file.Rows) < longImport {
		return
	}
	select {
	case t.service.steps <- importNews{t.caller.User, ImportProgress{"import", t.id, t.order.portfolio, t.order.dry, phase, done, total}}:
	default:
	}
}

// tellImports passes on how far imports are, to this server as to the others.
func (s *Service) tellImports(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case n := <-s.steps:
			text, err := json.Marshal(n)
			if err != nil {
				return err
			}
			within, cancel := context.WithTimeout(ctx, 2*time.Second)
			if err := s.rdb.Publish(within, importsChannel, text).Err(); err != nil && ctx.Err() == nil {
				s.log.Debug("portfolio: progress of an import not told", "error", err)
			}
			cancel()
		}
	}
}

// importsUnderWay are the last news of each run that has not ended, for who comes later.
type importsUnderWay struct {
	mu   sync.Mutex
	runs map[auth.UserID][]heardImport
}

type heardImport struct {
	ImportProgress
	at time.Time
}

func (u *importsUnderWay) note(n importNews) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.runs == nil {
		u.runs = map[auth.UserID][]heardImport{}
	}
	// Its server may have died: no run lasts longer than its transaction may.
	left := slices.DeleteFunc(u.runs[n.User], func(h heardImport) bool { return h.Run == n.Run || time.Since(h.at) > 2*importPatience })
	if n.Phase != phaseDone && n.Phase != phaseFailed {
		left = append(left, heardImport{n.ImportProgress, time.Now()})
	}
	if u.runs[n.User] = left; len(left) == 0 {
		delete(u.runs, n.User)
	}
}

// ImportsUnderWay is what a connection of p hears first.
func (s *Service) ImportsUnderWay(_ context.Context, p auth.Principal) (all []any, err error) {
	s.imports.mu.Lock()
	defer s.imports.mu.Unlock()
	for _, h := range s.imports.runs[p.User] {
		if time.Since(h.at) <= 2*importPatience {
			all = append(all, h.ImportProgress)
		}
	}
	return all, nil
}

func (s *Service) hearImport(text string) {
	var n importNews
	if json.Unmarshal([]byte(text), &n) != nil {
		return
	}
	s.imports.note(n)
	if s.OnImport != nil {
		s.OnImport(n.User, n.ImportProgress)
	}
}
