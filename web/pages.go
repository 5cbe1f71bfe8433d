//go:build !headless

package web

import "net/http"

// pages are the addresses that the browser's program knows; each gets the same document.
var pages = []string{"/{$}", "/login", "/activity", "/watchlists", "/alerts", "/sessions", "/settings", "/admin", "/status", "/docs"}

// Handler serves the pages, /assets/, the client library at its stable address and, for /api/ paths
// that no room has taken, the problem that says so. It is meant for the mux's "/".
func Handler() http.Handler {
	site := siteOnce()
	mux := http.NewServeMux()
	for _, page := range pages {
		mux.Handle("GET "+page, site.page(http.StatusOK))
	}
	mux.Handle("GET /assets/build", site.build())
	mux.Handle("GET "+site.prefix, site.assets())
	mux.Handle("GET /rosetree.js", site.stable("rosetree.js"))
	mux.Handle("GET /rosetree.d.ts", site.stable("rosetree.d.ts"))
	mux.Handle("GET /openapi.yaml", spec(OpenAPI))
	mux.Handle("GET /asyncapi.yaml", spec(AsyncAPI))
	mux.Handle("GET /favicon.ico", site.stable("icon.svg"))
	mux.Handle("/", missing(site.page(http.StatusNotFound)))
	return headers(mux)
}
