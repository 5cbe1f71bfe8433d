package web

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// asset is one file as it is sent: read, stripped and compressed once per process.
type asset struct {
	contentType string
	plain       []byte
	gzipped     []byte // nil where it would not be smaller
}

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".ts": "text/plain; charset=utf-8", ".webmanifest": "application/manifest+json",
	".yaml": "application/yaml; charset=utf-8",
}

func newAsset(name string, data []byte) asset {
	a := asset{contentType: contentTypes[path.Ext(name)], plain: data}
	if a.contentType == "" {
		a.contentType = "text/plain; charset=utf-8"
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a constant of the package
	_, _ = z.Write(data)                                  // a Buffer takes everything
	_ = z.Close()
	if b.Len() < len(data) {
		a.gzipped = b.Bytes()
	}
	return a
}

func (a asset) serve(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Add("Vary", "Accept-Encoding")
	body := a.plain
	if a.gzipped != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body = a.gzipped
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the peer may be gone
}

// acceptsGzip reads Accept-Encoding as far as one coding needs it: named, and not with q=0.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(part, ";")
		if c := strings.TrimSpace(coding); !strings.EqualFold(c, "gzip") && c != "*" {
			continue
		}
		q, found := strings.CutPrefix(strings.TrimSpace(params), "q=")
		weight, err := strconv.ParseFloat(q, 64)
		return !found || (err == nil && weight > 0)
	}
	return false
}
