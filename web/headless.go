//go:build headless

package web

import "net/http"

// Handler of a server without pages (go build -tags headless): the documents of its interfaces, and
// the problem that says that nothing else is here.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /openapi.yaml", spec(OpenAPI))
	mux.Handle("GET /asyncapi.yaml", spec(AsyncAPI))
	mux.Handle("/", missing(nil))
	return headers(mux)
}
