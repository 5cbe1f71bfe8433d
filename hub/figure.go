package hub

import (
	"bytes"
	"context"
	"time"

	"rosetree/auth"
)

// A topic with Every is a figure: nobody says when it changes, so it is read again and again while somebody follows it,
// once for all who do, and each is told where it is not what they heard last.

// OverviewTopic is the channel of the admins' overview.
const OverviewTopic = "overview"

const overviewEvery = 2 * time.Second

type overviewMessage struct {
	Type string `json:"type"` // "overview"
	Overview
}

func (h *Hub) overviewTopic() Topic {
	return Topic{Name: OverviewTopic, Admin: true, Every: overviewEvery, Now: func(ctx context.Context, p auth.Principal) ([]any, error) {
		o, err := h.overview(ctx, p, struct{}{})
		return []any{overviewMessage{"overview", o}}, err
	}}
}

// readFigure reads t until ctx ends.
func (t *topic) readFigure(ctx context.Context) {
	ticker := time.NewTicker(t.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t.tellFigure(ctx)
		}
	}
}

// tellFigure does nothing where nobody looks: the page of a socket that is suspended is hidden. Where the figure cannot be
// read, what was told last stays.
func (t *topic) tellFigure(ctx context.Context) {
	var awake []*subscription
	for _, f := range t.all() {
		if !f.rests() {
			awake = append(awake, f)
		}
	}
	if len(awake) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	now, err := t.Now(ctx, auth.Principal{})
	if err != nil {
		return
	}
	for _, message := range now {
		encoded := encode(message)
		for _, f := range awake {
			f.show(encoded)
		}
	}
}

func (f *subscription) rests() bool {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	return f.c.suspended
}

// show sends a figure where it is another than the last. Before start is through it is left out: start brings a newer one.
func (f *subscription) show(encoded []byte) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if !f.open || f.c.suspended || bytes.Equal(f.shown, encoded) {
		return
	}
	f.shown = encoded
	f.c.queue(encoded)
}
