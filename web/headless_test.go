//go:build headless

package web

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAServerWithoutPagesHasTheDocumentsOfItsInterfaces(t *testing.T) {
	for target, want := range map[string]int{"/openapi.yaml": http.StatusOK, "/asyncapi.yaml": http.StatusOK, "/": http.StatusNotFound, "/login": http.StatusNotFound} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Accept", "text/html")
		Handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
}
