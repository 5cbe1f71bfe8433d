package hub

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"rosetree/internal/api"
)

// drainRate is how many connections a second are sent away at most: the servers that take them in
// must authenticate each.
const drainRate = 500

// drain sends everyone away because the server stops, and waits until they have left.
func (h *Hub) drain() {
	h.mu.Lock()
	h.draining = true
	close(h.stopping)
	if len(h.open) == 0 {
		h.emptied()
	}
	h.mu.Unlock()
	h.sendAway(goodbye{code: codeRestart, reason: "restart"}, h.connections(), nil)
	select {
	case <-h.empty:
	case <-time.After(4 * lingering):
	}
	h.workers.Wait()
}

// sendAway says goodbye to one after the other, spread over the drain window, until stop is closed. The hints
// spread the returns over the window once more, because clients forget their back-off when a server says goodbye.
func (h *Hub) sendAway(why goodbye, leaving []*conn, stop <-chan struct{}) {
	window := h.window(len(leaving))
	rand.Shuffle(len(leaving), func(i, j int) { leaving[i], leaving[j] = leaving[j], leaving[i] })
	began := time.Now()
	for i, c := range leaving {
		if !until(began.Add(window*time.Duration(i)/time.Duration(len(leaving))), stop) {
			return
		}
		why.retry = 250*time.Millisecond + rand.N(returnWindow(window))
		c.close(why)
	}
}

// window is how long n connections take to leave.
func (h *Hub) window(n int) time.Duration {
	return min(h.cfg.Drain, time.Duration(n)*time.Second/drainRate)
}

// returnWindow is over how long those who were sent away within window come back.
func returnWindow(window time.Duration) time.Duration { return max(window, time.Second) }

// until waits, and says whether it was not interrupted.
func until(due time.Time, stop <-chan struct{}) bool {
	wait := time.Until(due)
	if wait <= time.Millisecond {
		return true
	}
	select {
	case <-time.After(wait):
		return true
	case <-stop:
		return false
	}
}

// errMoving: one drain at a time.
var errMoving = api.Conflict("this server is sending its sockets away already")

// move sends a share of this server's sockets (in per cent) to others with 4000, and goes on serving: after a
// deploy the server that came up last has none. Until the last of them has been told to be back, upgrades
// are refused here and moving is on. It returns how many leave and when it is over.
func (h *Hub) move(percent float64, moving func(on bool)) (sockets int, over time.Duration, err error) {
	leaving := h.connections()
	leaving = leaving[:int(float64(len(leaving))*percent/100)] // in no order: a map's
	window := h.window(len(leaving))
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.draining:
		return 0, 0, errDraining()
	case h.moving:
		return 0, 0, errMoving
	}
	h.moving = true
	moving(true)
	began, over := time.Now(), window+returnWindow(window)
	h.workers.Go(func() {
		h.sendAway(goodbye{code: codeDrain, reason: "drain", by: "operator"}, leaving, h.stopping)
		until(began.Add(over), h.stopping)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.moving = false
		if !h.draining { // else it is over for good
			moving(false)
		}
	})
	return len(leaving), over, nil
}

// MoveRoute mounts what operators ask for on the metrics listener: POST /debug/drain?percent=50. All leave where no
// share is named. moving is told when it begins and when it is over.
func (h *Hub) MoveRoute(mux *http.ServeMux, moving func(on bool)) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		percent, err := percentOf(r.URL.Query().Get("percent"))
		if err != nil {
			api.WriteProblem(w, r, err)
			return
		}
		sockets, over, err := h.move(percent, moving)
		if err != nil {
			api.WriteProblem(w, r, err)
			return
		}
		h.log.Info("sending sockets away", "sockets", sockets, "seconds", over.Seconds())
		api.WriteJSON(w, http.StatusAccepted, map[string]any{"sockets": sockets, "seconds": over.Seconds()})
	})
	mux.Handle("POST /debug/drain", http.NewCrossOriginProtection().Handler(handler)) // no web page asks for this
}

func percentOf(text string) (float64, error) {
	if text == "" {
		return 100, nil
	}
	percent, err := strconv.ParseFloat(text, 64)
	if err != nil || !(percent > 0 && percent <= 100) {
		return 0, api.Invalid("percent", "must be a number above 0 and at most 100")
	}
	return percent, nil
}
