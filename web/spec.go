package web

import (
	_ "embed"
	"net/http"
)

// OpenAPI describes the HTTP API, AsyncAPI the socket. Tests hold both against the running program.
var (
	//go:embed spec/openapi.yaml
	OpenAPI []byte
	//go:embed spec/asyncapi.yaml
	AsyncAPI []byte
)

// spec serves a document that programs read.
func spec(data []byte) http.Handler {
	a := newAsset("spec.yaml", data)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		a.serve(w, r, http.StatusOK)
	})
}
