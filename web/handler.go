// Package web serves what people see: the pages, their assets and the browser client, all embedded.
// A clone builds with Go alone: bundle/ is what npm run bundle (in test/) makes of app/, and a check holds the two equal.
package web

import (
	"net/http"
	"path"
	"strings"

	"rosetree/internal/api"
)

// csp is enforced from the first page on. Nothing inline, nothing from elsewhere, and no way to turn
// text into script: 'trusted-types none' refuses every innerHTML with data in it.
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// headers sets what every answer carries that a browser could show as a page, errors included. What
// only documents obey stays away from scripts and styles: there are many of them, and it is as long
// as a small one.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if ext := path.Ext(r.URL.Path); ext != ".js" && ext != ".css" {
			h.Set("Content-Security-Policy", csp)
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
			h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		}
		next.ServeHTTP(w, r)
	})
}

// missing answers what nobody serves: people get page, programs the problem that says so.
func missing(page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		browser := r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html")
		if browser && page != nil && !strings.HasPrefix(r.URL.Path, "/api/") {
			page.ServeHTTP(w, r)
			return
		}
		api.WriteProblem(w, r, api.NotFound(r.Method+" "+r.URL.Path))
	})
}
