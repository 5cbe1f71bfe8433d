package prices

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"rosetree/internal/api"
)

// webhooks post firings to the addresses that users gave with their alerts. The addresses are strangers': only https,
// only to public addresses (asked when the connection is made, so that no name can point elsewhere later), no
// redirect, no proxy, little time, and nothing of the answer is kept.
type webhooks struct {
	store   store
	client  *http.Client
	metrics *alertMetrics
	log     *slog.Logger
	wake    chan struct{}                                 // has one: this server made a firing
	news    func(ctx context.Context, user, alert string) // what is known of an alert's messages has changed; set before run
}

const (
	webhookTime    = 10 * time.Second
	webhookTries   = 8
	webhookFirst   = 30 * time.Second // before the second try; doubles: about an hour in all
	webhookTerm    = time.Minute      // how long one server has for what it took
	webhookAtOnce  = 16
	longestWebhook = 500
)

func newWebhooks(st store, m *alertMetrics, log *slog.Logger) *webhooks {
	return &webhooks{store: st, client: publicClient(publicAddress, nil), metrics: m, log: log, wake: make(chan struct{}, 1), news: func(context.Context, string, string) {}}
}

// publicClient reaches what allow lets through. roots are for tests; nil: the system's.
func publicClient(allow func(netip.Addr) error, roots *tls.Config) *http.Client {
	dialer := &net.Dialer{Timeout: webhookTime, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return allow(at.Addr())
	}}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != nil {
		config.RootCAs = roots.RootCAs
	}
	return &http.Client{Timeout: webhookTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: config, TLSHandshakeTimeout: webhookTime, ResponseHeaderTimeout: webhookTime,
			MaxResponseHeaderBytes: 16 << 10, DisableKeepAlives: true, ForceAttemptHTTP2: true}}
}

var errNotPublic = errors.New("the address is not a public one")

// reserved are networks that are global by netip and yet nobody's on the internet.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("168.63.129.16/32"), // the last: a cloud's metadata
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/23"), // hold IPv4 addresses
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("::/96"),
}

// publicAddress refuses what lies in this machine, its network, its cloud, or nowhere.
func publicAddress(a netip.Addr) error {
	a = a.WithZone("").Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return errNotPublic
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return errNotPublic
		}
	}
	return nil
}

// checkWebhook says what is wrong with an address as early as it can be known.
func checkWebhook(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "":
		return api.Invalid("webhook", "must be an address that begins with https://")
	case len(address) > longestWebhook:
		return api.Invalid("webhook", "at most %d bytes", longestWebhook)
	case u.User != nil || u.Fragment != "":
		return api.Invalid("webhook", "must be without a user and without a fragment")
	}
	if at, err := netip.ParseAddr(u.Hostname()); err == nil && publicAddress(at) != nil {
		return api.Invalid("webhook", "%s", errNotPublic)
	}
	return nil
}

// postedAlert is what a webhook is sent; text alone is what chat services show.
type postedAlert struct {
	Text string `json:"text"`
	Type string `json:"type"` // alert
	Firing
}

// parcel is a firing on its way.
type parcel struct {
	ownedFiring
	address  string
	secret   string
	unsigned error // why there is no secret: then nothing is sent
	tries    int   // this one included
}

// run delivers what is due until ctx ends. The queue is the table: servers take parts of it, and what one took and
// did not finish is taken again after webhookTerm.
func (h *webhooks) run(ctx context.Context) error {
	for {
		sent, err := h.round(ctx)
		if err != nil && ctx.Err() == nil {
			h.log.Warn("prices: webhooks", "err", err)
		}
		if sent == webhookAtOnce {
			continue // there may be more
		}
		select {
		case <-ctx.Done():
			return nil
		case <-h.wake:
		case <-time.After(alertPoll):
		}
	}
}

func (h *webhooks) rouse() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// round posts up to webhookAtOnce firings side by side.
func (h *webhooks) round(ctx context.Context) (int, error) {
	parcels, err := h.store.takeParcels(ctx, webhookTerm)
	if err != nil {
		return 0, err
	}
	results := make(chan error, len(parcels))
	for _, p := range parcels {
		go func() { results <- h.deliver(ctx, p) }()
	}
	for range parcels {
		err = errors.Join(err, <-results)
	}
	return len(parcels), err
}

// deliver posts p and notes what came of it.
func (h *webhooks) deliver(ctx context.Context, p parcel) error {
	said := h.post(ctx, p)
	if ctx.Err() != nil {
		return nil // not its fault; another server takes it
	}
	var pause *time.Duration
	switch {
	case said == nil:
		h.metrics.delivered.Inc()
	case p.tries >= webhookTries:
		h.metrics.givenUp.Inc()
	default:
		h.metrics.failed.Inc()
		wait := webhookFirst << (p.tries - 1)
		pause = &wait
	}
	err := h.store.noteParcel(ctx, p, pause, said)
	if err == nil && (said != nil || p.tries > 1) {
		h.news(ctx, p.user, p.Alert)
	}
	return err
}

// post sends once. Its errors name nothing of the answer but its status: they are shown to the user who gave the address.
func (h *webhooks) post(ctx context.Context, p parcel) error {
	body, err := json.Marshal(postedAlert{p.text(), "alert", p.Firing})
	if err != nil {
		return err
	}
	if p.unsigned != nil {
		return p.unsigned
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.address, bytes.NewReader(body))
	if err != nil {
		return errors.New("is no address")
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Rosetree")
	r.Header.Set("Rosetree-Alert", p.ID)
	r.Header.Set("Rosetree-Signature", "t="+at+",v1="+signature(p.secret, at, body))
	res, err := h.client.Do(r)
	switch {
	case errors.Is(err, errNotPublic):
		return errNotPublic
	case err != nil:
		return errors.New("no answer")
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10)
	if res.StatusCode < 200 || res.StatusCode >= 300 {
		return fmt.Errorf("answered %d", res.StatusCode)
	}
	return nil
}

// signature is the HMAC-SHA256 of "TIME.BODY" under the alert's secret, in hex: the time is in it so that a message
// that is overheard cannot be sent again later.
func signature(secret, at string, body []byte) string {
	m := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(m, at+".") // a hash takes everything
	_, _ = m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

func (p parcel) text() string {
	says := map[AlertKind]string{AlertAbove: "at or above " + p.Threshold.String(), AlertBelow: "at or below " + p.Threshold.String(),
		AlertDayPct: "moved by " + p.Threshold.String() + " % or more today"}
	text := string(p.Symbol) + " is at " + p.Price.String() + ": " + says[p.Kind]
	if p.Note != "" {
		text += " (" + p.Note + ")"
	}
	return text
}
