package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Webhook posts notices to an address, one after the other. "text" alone is what Slack, Mattermost and their like show;
// the other fields are for programs.
type Webhook struct {
	address string // a secret: who knows it can write to the channel
	server  string
	client  *http.Client
	log     *slog.Logger
	queue   chan message
	wait    time.Duration // before the second try; doubles
}

// message is what is posted.
type message struct {
	Text     string    `json:"text"`
	Alert    string    `json:"alert"`
	Status   string    `json:"status"` // firing or resolved
	Severity Severity  `json:"severity"`
	Value    float64   `json:"value"`
	Limit    float64   `json:"limit"`
	Unit     string    `json:"unit"`
	Server   string    `json:"server"`
	Since    time.Time `json:"since"`
	Runbook  string    `json:"runbook"`
}

const (
	webhookTimeout = 10 * time.Second
	webhookTries   = 8 // over about four minutes: a chat service's restart is not worth a lost alert
	webhookQueue   = 256
)

// NewWebhook posts to address in the name of server.
func NewWebhook(address, server string, log *slog.Logger) *Webhook {
	return &Webhook{address: address, server: server, log: log, queue: make(chan message, webhookQueue), wait: 2 * time.Second,
		client: &http.Client{Timeout: webhookTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Tell queues a notice; a full queue is said in the log, because alerts must not hold up the server.
func (h *Webhook) Tell(_ context.Context, n Notice) {
	select {
	case h.queue <- h.message(n):
	default:
		h.log.Error("too many alert messages wait for the webhook: one is dropped", "alert", n.Condition.Name)
	}
}

// Try posts one message that says that it is a test, once, and says what came of it.
func (h *Webhook) Try(ctx context.Context) error {
	return h.post(ctx, message{Text: "[test] Rosetree on " + h.server + " can reach this channel.", Alert: "Test", Status: "firing", Server: h.server, Since: time.Now().UTC()})
}

// Run posts what is told until ctx ends.
func (h *Webhook) Run(ctx context.Context) error {
	for {
		select {
		case m := <-h.queue:
			h.deliver(ctx, m)
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *Webhook) message(n Notice) message {
	c := n.Condition
	m := message{Alert: c.Name, Status: "firing", Severity: c.Severity, Value: n.Value, Limit: c.Limit, Unit: c.Unit, Server: h.server, Since: n.Since.UTC(), Runbook: c.Runbook()}
	m.Text = fmt.Sprintf("[%s] %s on %s: %s Now %s. Runbook: %s", c.Severity, c.Name, h.server, c.Says, c.reads(n.Value), m.Runbook)
	if n.Over {
		m.Status = "resolved"
		m.Text = fmt.Sprintf("[resolved] %s on %s, after %s.", c.Name, h.server, time.Since(n.Since).Round(time.Second))
	}
	return m
}

func (h *Webhook) deliver(ctx context.Context, m message) {
	wait := h.wait
	for try := 1; ; try++ {
		err := h.post(ctx, m)
		if err == nil || ctx.Err() != nil {
			return
		}
		if try == webhookTries {
			h.log.Error("an alert message could not be delivered", "alert", m.Alert, "tries", try, "error", err)
			return
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait *= 2
	}
}

// post sends once. Its errors never hold the address.
func (h *Webhook) post(ctx context.Context, m message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the webhook's address is no address")
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := h.client.Do(req)
	if err != nil {
		return fmt.Errorf("the webhook's host did not answer")
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("the webhook answered %d", res.StatusCode)
	}
	return nil
}
