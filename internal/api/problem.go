// Package api is the door that HTTP and the socket share: one definition per operation, strict
// decoding of what clients send, and the problem documents (RFC 9457) that answer what is wrong.
//
// It knows no users, prices or portfolios; every room above may use it.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Problem is an error that may be shown to a client. Its Code is stable and is the same over HTTP
// and the socket. Any other error that reaches the door is answered as "internal", without its text.
type Problem struct {
	Status     int           // HTTP status
	Code       string        // stable, snake_case
	Message    string        // one sentence: what is wrong and what to do
	Field      string        // JSON name of the field at fault, where one is
	RetryAfter time.Duration // sent as Retry-After, in whole seconds, where > 0
}

func (p *Problem) Error() string {
	if p.Field != "" {
		return p.Code + ": " + p.Field + ": " + p.Message
	}
	return p.Code + ": " + p.Message
}

// Is makes errors.Is compare problems by code, so that a Problem can serve as a sentinel.
func (p *Problem) Is(target error) bool {
	t, ok := target.(*Problem)
	return ok && t.Code == p.Code
}

// The problems that every room uses. Narrower codes stand beside the rule that they report.
func BadRequest(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: "bad_request", Message: fmt.Sprintf(format, args...)}
}

// Invalid reports a field whose value breaks a rule.
func Invalid(field, format string, args ...any) *Problem {
	return &Problem{Status: http.StatusUnprocessableEntity, Code: "invalid", Field: field, Message: fmt.Sprintf(format, args...)}
}

// NotFound also answers for what belongs to somebody else, exactly as if it did not exist.
func NotFound(what string) *Problem {
	return &Problem{Status: http.StatusNotFound, Code: "not_found", Message: what + " not found"}
}

func Unauthenticated(message string) *Problem {
	return &Problem{Status: http.StatusUnauthorized, Code: "unauthenticated", Message: message}
}

func Forbidden(message string) *Problem {
	return &Problem{Status: http.StatusForbidden, Code: "forbidden", Message: message}
}

func Conflict(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusConflict, Code: "conflict", Message: fmt.Sprintf(format, args...)}
}

func TooLarge(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: fmt.Sprintf(format, args...)}
}

func RateLimited(retry time.Duration) *Problem {
	return &Problem{Status: http.StatusTooManyRequests, Code: "rate_limited", Message: "too many requests; wait and try again", RetryAfter: retry}
}

func Unavailable(message string, retry time.Duration) *Problem {
	return &Problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: message, RetryAfter: retry}
}

// ProblemOf is what a client is told of err: the Problem inside it, or "internal".
func ProblemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	return &Problem{Status: http.StatusInternalServerError, Code: "internal", Message: "something went wrong on the server; the request id helps to find it"}
}

// errClientGone is the answer that nobody reads. Its status is what proxies log of such a request; no RFC has it.
var errClientGone = &Problem{Status: 499, Code: "client_gone", Message: "the client went away before it was answered"}

// Answer is what r is answered where err came of it: ProblemOf, unless the work stopped because the client went away. Then nobody
// has failed, and neither the log nor a metric may say so.
func Answer(r *http.Request, err error) *Problem {
	if errors.Is(err, context.Canceled) && errors.Is(r.Context().Err(), context.Canceled) {
		return errClientGone
	}
	return ProblemOf(err)
}

// WriteProblem answers r with err as application/problem+json.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := Answer(r, err)
	if p.Status >= http.StatusInternalServerError {
		requestOf(r.Context()).cause = err
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	body := struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Code      string `json:"code"`
		Detail    string `json:"detail"`
		Field     string `json:"field,omitempty"`
		RequestID string `json:"request_id,omitempty"`
	}{"about:blank", http.StatusText(p.Status), p.Status, p.Code, p.Message, p.Field, RequestID(r.Context())}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(body) // the peer may be gone; there is no one left to tell
}

// WriteJSON answers with v. Account data is never stored by a cache on the way.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
