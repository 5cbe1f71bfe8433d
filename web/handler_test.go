//go:build !headless

package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryDocumentCarriesTheExactPolicy(t *testing.T) {
	const want = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	for _, target := range []string{"/", "/login", "/admin", "/status", "/assets/build", siteOnce().prefix + "icon.svg", "/nowhere", "/api/nowhere", "/openapi.yaml"} {
		res := get(t, target)
		if got := res.Header.Get("Content-Security-Policy"); got != want {
			t.Errorf("%s: CSP is %q", target, got)
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: no nosniff", target)
		}
	}
}

func TestPagesAreNeverStoredAndAssetsForEver(t *testing.T) {
	for target, want := range map[string]string{
		"/": "no-store", "/login": "no-store", "/sessions": "no-store",
		siteOnce().prefix + "main.js": "public, max-age=31536000, immutable",
		"/assets/0000/main.js":        "", "/rosetree.js": "no-cache",
	} {
		if got := get(t, target, "Accept", "text/html").Header.Get("Cache-Control"); got != want && want != "" {
			t.Errorf("%s: Cache-Control %q, want %q", target, got, want)
		}
	}
	if res := get(t, siteOnce().prefix+"nothing.js"); res.StatusCode != http.StatusNotFound || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("a missing asset is kept: %d %q", res.StatusCode, res.Header.Get("Cache-Control"))
	}
}

func TestWhatTheDocumentNamesIsThere(t *testing.T) {
	html := body(t, get(t, "/"))
	if strings.Contains(html, "{assets}") || strings.Contains(html, "{preload}") {
		t.Fatal("a placeholder was left in the document")
	}
	named := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(html, -1)
	if len(named) < 6 {
		t.Fatalf("only %d files are named", len(named))
	}
	for _, m := range named {
		if strings.HasPrefix(m[1], "data:") {
			continue
		}
		if res := get(t, m[1]); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", m[1], res.StatusCode)
		}
	}
}

var anyImport = regexp.MustCompile(`(?:from|import)\(?"\./([^"]+\.js)"`)

func TestEveryImportOfEveryModuleResolves(t *testing.T) {
	s, seen := siteOnce(), 0
	for name, a := range s.files {
		for _, m := range anyImport.FindAllSubmatch(a.plain, -1) {
			if seen++; s.files[string(m[1])].plain == nil {
				t.Errorf("%s imports %s, which is not there", name, m[1])
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d imports were found", seen)
	}
}

func TestGzipIsTheSameBytes(t *testing.T) {
	target := siteOnce().prefix + "app.css"
	plain, zipped := get(t, target), get(t, target, "Accept-Encoding", "br, gzip;q=0.5")
	if zipped.Header.Get("Content-Encoding") != "gzip" {
		t.Fatal("gzip was offered and not used")
	}
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, z); err != nil {
		t.Fatal(err)
	}
	if b.String() != body(t, plain) {
		t.Error("gzip and plain differ")
	}
	if get(t, target, "Accept-Encoding", "gzip;q=0").Header.Get("Content-Encoding") != "" {
		t.Error("gzip was refused and used")
	}
}

func TestUnknownPathsAnswerInTheCallersLanguage(t *testing.T) {
	page := get(t, "/nowhere", "Accept", "text/html,*/*")
	if page.StatusCode != http.StatusNotFound || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
		t.Errorf("page: %d %s", page.StatusCode, page.Header.Get("Content-Type"))
	}
	for _, target := range []string{"/api/nowhere", "/nowhere"} {
		if res := get(t, target); res.StatusCode != http.StatusNotFound || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", target, res.StatusCode, res.Header.Get("Content-Type"))
		}
	}
}

func TestTheClientLibraryFitsItsPromise(t *testing.T) {
	if n := len(siteOnce().files["rosetree.js"].gzipped); n > 4096 {
		t.Errorf("rosetree.js is %d bytes gzipped; 4096 are promised", n)
	}
}
