//go:build !headless

package web

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// The scripts and styles come from bundle, which `npm run bundle` (in test/) makes of app.
//
//go:embed app/index.html app/icon.svg app/rosetree.d.ts app/vendor/LICENSES bundle
var embedded embed.FS

// site is the embedded files, by name, with their common address. One hash for all of them: modules import
// each other by relative paths, so they change address together.
type site struct {
	hash   string
	prefix string // "/assets/<hash>/"
	files  map[string]asset
	html   asset
}

var siteOnce = sync.OnceValue(newSite)

func newSite() *site {
	s := &site{files: map[string]asset{}}
	sum := sha256.New()
	err := fs.WalkDir(embedded, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(embedded, file)
		if err != nil {
			return err
		}
		name := path.Base(file)
		fmt.Fprintf(sum, "%s %d\n%s", name, len(data), data)
		s.files[name] = newAsset(name, data)
		return nil
	})
	if err != nil {
		panic(err) // the embedded tree is part of the program
	}
	s.hash = hex.EncodeToString(sum.Sum(nil))[:16]
	s.prefix = "/assets/" + s.hash + "/"
	s.html = newAsset("index.html", s.document())
	return s
}

// document is the page: the assets' prefix and the icon filled in, and the modules that the first screen imports
// named in the head, so that they load side by side and not one after the other found it.
func (s *site) document() []byte {
	var preload strings.Builder
	for _, name := range s.imports("main.js") {
		fmt.Fprintf(&preload, "<link rel=\"modulepreload\" href=\"%s%s\">\n", s.prefix, name)
	}
	icon := "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(s.files["icon.svg"].plain)
	html := strings.NewReplacer("{assets}/", s.prefix, "{icon}", icon).Replace(string(s.files["index.html"].plain))
	return []byte(strings.Replace(html, "{preload}\n", preload.String(), 1))
}

var staticImport = regexp.MustCompile(`(?:from|import)"\./([^"]+\.js)"`) // import("…") is not static

// imports lists what entry imports statically, entry first, each once.
func (s *site) imports(entry string) []string {
	found := []string{entry}
	for i := 0; i < len(found); i++ {
		for _, m := range staticImport.FindAllSubmatch(s.files[found[i]].plain, -1) {
			if name := string(m[1]); !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	return found
}

// page is the document. It is never stored: the back button after a log-out must find nothing.
func (s *site) page(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		s.html.serve(w, r, status)
	})
}

// assets serves the hashed prefix: whatever is found there never changes.
func (s *site) assets() http.Handler {
	return http.StripPrefix(s.prefix, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := s.files[r.URL.Path]
		if !ok {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "no such asset", http.StatusNotFound)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		a.serve(w, r, http.StatusOK)
	}))
}

// stable serves a file at an address that outlives builds: asked for again each time, sent when changed.
func (s *site) stable(name string) http.Handler {
	etag := `"` + s.hash + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		s.files[name].serve(w, r, http.StatusOK)
	})
}

// build names the assets that this server has, so that an open page can tell that it is of an older one.
func (s *site) build() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(s.hash))
	})
}
