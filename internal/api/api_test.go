package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

type input struct {
	Portfolio string   `json:"portfolio"`
	Name      string   `json:"name"`
	Limit     int      `json:"limit"`
	Live      *bool    `json:"live"`
	Tags      []string `json:"tags"`
	Inner     struct {
		Quantity string `json:"quantity"`
	} `json:"inner"`
}

var echo = Op("test.echo", "POST", "/p/{portfolio}/echo", func(_ context.Context, caller string, in input) (map[string]any, error) {
	if in.Name == "nobody" {
		return nil, NotFound("portfolio")
	}
	if in.Name == "broken" {
		return nil, errors.New("pq: password is hunter2")
	}
	return map[string]any{"caller": caller, "in": in}, nil
})

func serve(t *testing.T, method, target, contentType, body string) (*http.Response, map[string]any) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("POST /p/{portfolio}/echo", echo.Handler(func(r *http.Request) (string, error) {
		if r.Header.Get("Authorization") == "" {
			return "", Unauthenticated("log in")
		}
		return "ana", nil
	}))
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "yes")
	w := httptest.NewRecorder()
	Requests(slog.New(slog.NewTextHandler(io.Discard, nil)), mux).ServeHTTP(w, r)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("answer is no JSON: %s", w.Body)
	}
	return w.Result(), out
}

func TestOneDefinitionServesHTTPAndSocketAlike(t *testing.T) {
	_, over := serve(t, "POST", "/p/p1/echo?limit=7&live=true", "application/json", `{"name":"x","tags":["a"]}`)
	called, err := echo.Call(t.Context(), "ana", json.RawMessage(`{"portfolio":"p1","limit":7,"live":true,"name":"x","tags":["a"]}`))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(over)
	want, _ := json.Marshal(called)
	var g, w any
	json.Unmarshal(got, &g)
	json.Unmarshal(want, &w)
	gs, _ := json.Marshal(g)
	ws, _ := json.Marshal(w)
	if string(gs) != string(ws) {
		t.Errorf("HTTP %s\nsocket %s", gs, ws)
	}
}

func TestBadInputIsAnsweredByAProblemThatSaysWhatAndWhere(t *testing.T) {
	for _, tc := range []struct {
		name, target, contentType, body string
		status                          int
		code, field                     string
	}{
		{"unknown field", "/p/1/echo", "application/json", `{"nmae":"x"}`, 400, "bad_request", "nmae"},
		{"unknown query parameter", "/p/1/echo?limt=3", "application/json", `{}`, 400, "bad_request", "limt"},
		{"query parameter twice", "/p/1/echo?limit=3&limit=4", "application/json", `{}`, 400, "bad_request", ""},
		{"wrong type", "/p/1/echo", "application/json", `{"name":7}`, 400, "bad_request", "name"},
		{"wrong type inside", "/p/1/echo", "application/json", `{"inner":{"quantity":true}}`, 400, "bad_request", "inner.quantity"},
		{"query is no number", "/p/1/echo?limit=x", "application/json", `{}`, 422, "invalid", "limit"},
		{"truncated", "/p/1/echo", "application/json", `{"name":"x`, 400, "bad_request", ""},
		{"two values", "/p/1/echo", "application/json", `{} {}`, 400, "bad_request", ""},
		{"an array", "/p/1/echo", "application/json", `[]`, 400, "bad_request", ""},
		{"no JSON type", "/p/1/echo", "text/plain", `{}`, 415, "bad_request", ""},
		{"path said twice", "/p/1/echo", "application/json", `{"portfolio":"2"}`, 400, "bad_request", ""},
		{"10 MB", "/p/1/echo", "application/json", `{"name":"` + strings.Repeat("x", 10<<20) + `"}`, 413, "too_large", ""},
		{"not theirs", "/p/1/echo", "application/json", `{"name":"nobody"}`, 404, "not_found", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res, out := serve(t, "POST", tc.target, tc.contentType, tc.body)
			field, _ := out["field"].(string)
			if res.StatusCode != tc.status || out["code"] != tc.code || field != tc.field {
				t.Errorf("%d %v %q: %v", res.StatusCode, out["code"], field, out)
			}
			if ct := res.Header.Get("Content-Type"); ct != "application/problem+json" {
				t.Errorf("content type %q", ct)
			}
			if id := res.Header.Get("X-Request-Id"); id == "" || out["request_id"] != id {
				t.Errorf("request id %q in the header, %v in the body", id, out["request_id"])
			}
		})
	}
}

func TestAnInternalErrorTellsNothing(t *testing.T) {
	res, out := serve(t, "POST", "/p/1/echo", "application/json", `{"name":"broken"}`)
	body, _ := json.Marshal(out)
	if res.StatusCode != 500 || out["code"] != "internal" || strings.Contains(string(body), "hunter2") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	var log strings.Builder
	h := Requests(slog.New(slog.NewTextHandler(&log, nil)), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/x?token=secret", nil))
	if w.Code != 500 || !strings.Contains(w.Body.String(), `"internal"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "boom") || strings.Contains(log.String(), "secret") {
		t.Errorf("log: %s", log.String())
	}
}

func TestWhyAnAnswerIs5xxStandsInTheLogAlone(t *testing.T) {
	var log strings.Builder
	h := Requests(slog.New(slog.NewTextHandler(&log, nil)), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		WriteProblem(w, r, errors.Join(Unavailable("try again", time.Second), errors.New("deadlock detected")))
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	if w.Code != 503 || strings.Contains(w.Body.String(), "deadlock") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "deadlock detected") || !strings.Contains(log.String(), "request_id="+w.Header().Get("X-Request-Id")) {
		t.Errorf("log: %s", log.String())
	}
}

// A client that goes away before it is answered is no error of ours. What failed by itself is, though nobody waits for it any more, and so is
// work of ours that was cancelled while the client waited.
func TestAClientThatGoesAwayIsNoErrorOfOurs(t *testing.T) {
	for _, tc := range []struct {
		name       string
		gone       bool
		err        error
		log, never string
	}{
		{"gone", true, fmt.Errorf("auth: read credentials: %w", context.Canceled), "level=INFO msg=request", "canceled"},
		{"gone, and another reason is told with it", true, errors.Join(Unavailable("try again", 0), context.Canceled), "status=499", "canceled"},
		{"gone, but something broke", true, errors.New("disk full"), "level=ERROR msg=request", "status=499"},
		{"there", false, context.Canceled, "level=ERROR msg=request", "status=499"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log strings.Builder
			h := Requests(slog.New(slog.NewTextHandler(&log, nil)), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				WriteProblem(w, r, tc.err)
			}))
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if tc.gone {
				leave()
			}
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/x", nil))
			if !strings.Contains(log.String(), tc.log) || strings.Contains(log.String(), tc.never) {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"portfolio":"1","limit":3,"inner":{"quantity":"1"}}`))
	f.Add([]byte(`{"limit":1e400}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var in input
		err := Decode(data, &in)
		if p := ProblemOf(err); err != nil && (p.Code != "bad_request" && p.Code != "invalid") {
			t.Errorf("%q: %v", data, err)
		}
	})
}
