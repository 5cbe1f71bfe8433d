package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthAsksWhereTheServerCanBeReached(t *testing.T) {
	for _, c := range []struct {
		listen string
		tls    bool
		want   string
	}{
		{"", false, "http://127.0.0.1:8080/api/health/ready"},
		{"0.0.0.0:8080", false, "http://localhost:8080/api/health/ready"},
		{":9000", false, "http://localhost:9000/api/health/ready"},
		{"[::]:9000", true, "https://localhost:9000/api/health/ready"},
		{"10.1.2.3:80", false, "http://10.1.2.3:80/api/health/ready"},
		{"[::1]:80", false, "http://[::1]:80/api/health/ready"},
	} {
		if got, err := readyURL(c.listen, c.tls); got != c.want {
			t.Errorf("LISTEN_ADDR %q: %s, %v; want %s", c.listen, got, err, c.want)
		}
	}
	if _, err := readyURL("8080", false); err == nil || !strings.Contains(err.Error(), "LISTEN_ADDR") {
		t.Errorf("LISTEN_ADDR without a colon: %v", err)
	}
}

func TestHealthIsTheServersAnswer(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer server.Close()
	if err := askReady(t.Context(), server.URL, io.Discard); err != nil {
		t.Errorf("a ready server: %v", err)
	}
	status = http.StatusServiceUnavailable
	if err := askReady(t.Context(), server.URL, io.Discard); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a server that is down: %v", err)
	}
	server.Close()
	if err := askReady(t.Context(), server.URL, io.Discard); err == nil {
		t.Error("no server: no error")
	}
}
