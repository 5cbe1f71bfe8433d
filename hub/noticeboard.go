package hub

import (
	"net/http"
	"time"

	"rosetree/internal/api"
)

// NoticeBoard is what the status page shows to anybody.
type NoticeBoard struct {
	Now     []PlannedNotice `json:"now"`
	Planned []PlannedNotice `json:"planned"` // the next first
	Past    []PlannedNotice `json:"past"`    // of the last 14 days, the latest first
}

// Routes mounts the public read. It is answered from memory, so that a crowd that looks whether something is
// wrong costs the database nothing, and a database that is away takes no notice with it.
func (n *Notices) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/notices", func(w http.ResponseWriter, r *http.Request) {
		board, known := n.sorted(time.Now())
		if !known {
			api.WriteProblem(w, r, api.Unavailable("the notices were not read yet", time.Second))
			return
		}
		api.WriteJSON(w, http.StatusOK, board)
	})
}

// sorted is the notices by what they are at a time; false while they were never read.
func (n *Notices) sorted(at time.Time) (b NoticeBoard, known bool) {
	n.mu.Lock()
	all := n.board
	n.mu.Unlock()
	b = NoticeBoard{Now: []PlannedNotice{}, Planned: []PlannedNotice{}, Past: []PlannedNotice{}}
	for _, p := range all {
		switch {
		case p.over(at):
			b.Past = append([]PlannedNotice{p}, b.Past...)
		case p.From.After(at):
			b.Planned = append(b.Planned, p)
		default:
			b.Now = append(b.Now, p)
		}
	}
	return b, all != nil
}
