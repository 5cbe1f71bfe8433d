package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

type requestKey struct{}

// request is what the log line of a request needs to know.
type request struct {
	id    string
	cause error // why it was answered 5xx
}

func requestOf(ctx context.Context) *request {
	if q, ok := ctx.Value(requestKey{}).(*request); ok {
		return q
	}
	return &request{}
}

// RequestID is the id that X-Request-Id carries and that every log line of the request repeats.
func RequestID(ctx context.Context) string { return requestOf(ctx).id }

type idempotencyKey struct{}

// WithIdempotencyKey attaches the client's key: the header's over HTTP, the message's on the socket.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, idempotencyKey{}, key)
}

// IdempotencyKey is the client's key, or "".
func IdempotencyKey(ctx context.Context) string {
	key, _ := ctx.Value(idempotencyKey{}).(string)
	return key
}

// errPanicked is told to nobody: the client learns that something went wrong, the log has what.
var errPanicked = errors.New("api: the handler panicked")

// Requests gives each request its id and logs it when it ends: one line, never a header, a query or a body. What the client is not
// told of an answer 5xx stands in it.
func Requests(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := newRequestID()
		w.Header().Set("X-Request-Id", id)
		q := &request{id: id}
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		start := time.Now()
		defer func() {
			if p := recover(); p != nil {
				log.Error("request panicked", "request_id", id, "method", r.Method, "path", r.URL.Path, "panic", p)
				if !rec.wrote {
					WriteProblem(rec, r, errPanicked)
				}
				return
			}
			line := []any{"request_id", id, "method", r.Method, "path", r.URL.Path, "status", rec.status, "ms", time.Since(start).Milliseconds()}
			switch {
			case q.cause == nil:
				log.Info("request", line...)
			case rec.status == http.StatusInternalServerError:
				log.Error("request", append(line, "cause", q.cause)...)
			default:
				log.Warn("request", append(line, "cause", q.cause)...)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

func newRequestID() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// recorder remembers the status. Unwrap lets http.ResponseController and the hub's hijack reach the real writer.
type recorder struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (r *recorder) WriteHeader(status int) {
	r.status, r.wrote = status, true
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.wrote = true
	return r.ResponseWriter.Write(p)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
