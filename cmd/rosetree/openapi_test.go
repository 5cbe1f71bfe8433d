package main

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rosetree/auth"
	"rosetree/hub"
	"rosetree/internal/api"
	"rosetree/portfolio"
	"rosetree/prices"
)

var update = flag.Bool("update", false, "write web/spec/openapi.yaml anew")

const specFile = "../../web/spec/openapi.yaml"

// everyOperation is what the program serves; its methods are never called here.
func everyOperation() operations {
	all := newOperations(&auth.Auth{}, nil, &prices.Service{}, &portfolio.Service{})
	return append(append(all, (&hub.Notices{}).Operations()...), (&hub.Hub{}).Operations()...)
}

// TestOpenAPIIsWhatIsServed holds the document against the operations: an operation that is added, removed or changed
// changes the document, and one that nobody has described fails.
func TestOpenAPIIsWhatIsServed(t *testing.T) {
	want := openAPI(t)
	if *update {
		if err := os.WriteFile(specFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(specFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("web/spec/openapi.yaml is not what the operations say; write it anew: go test ./cmd/rosetree -run OpenAPI -update\n%s", firstDifference(string(got), want))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "line " + strconv.Itoa(i+1) + ": " + g[i] + "\ninstead of: " + w[i]
		}
	}
	return "one is longer"
}

// TestWhatTheDocumentNamesIsRouted asks the mux, with every path and method of the document.
func TestWhatTheDocumentNamesIsRouted(t *testing.T) {
	mux := http.NewServeMux()
	everyOperation().mount(mux, nil)
	(&auth.Auth{}).Routes(mux)
	(&portfolio.Service{}).Routes(mux, nil)
	(&hub.Notices{}).Routes(mux)
	(&readiness{}).routes(mux)
	for _, r := range documented() {
		target := strings.NewReplacer("{", "", "}", "").Replace(r.path)
		if _, pattern := mux.Handler(httptest.NewRequest(r.method, target, nil)); pattern != r.method+" "+r.path {
			t.Errorf("%s %s is documented, but %q answers", r.method, r.path, pattern)
		}
	}
}

// route is one path and method of the document.
type route struct {
	method, path, name, summary string
	status                      int
	input, output               reflect.Type
	open                        bool // no log-in is needed
}

func documented() []route {
	all := slices.Clone(rawRoutes)
	for _, o := range everyOperation() {
		if o.Path != "" {
			all = append(all, route{o.Method, o.Path, o.Name, summaries[o.Name], o.Status, o.Input, o.Output, false})
		}
	}
	slices.SortStableFunc(all, func(a, b route) int {
		if c := strings.Compare(a.path, b.path); c != 0 {
			return c
		}
		return strings.Compare(a.method, b.method)
	})
	return all
}

func openAPI(t *testing.T) string {
	s := newSchemas()
	paths := object{}
	for _, r := range documented() {
		if r.summary == "" {
			t.Errorf("%s has no summary: add one to summaries in openapi_routes_test.go", r.name)
		}
		method := strings.ToLower(r.method)
		if n := len(paths); n > 0 && paths[n-1].key == r.path {
			paths[n-1].value = paths[n-1].value.(object).with(method, r.describe(s))
			continue
		}
		paths = paths.with(r.path, object{{method, r.describe(s)}})
	}
	doc := head.with("paths", paths).with("components", components(s))
	var b strings.Builder
	b.WriteString("# Made from the operations of the program: go test ./cmd/rosetree -run OpenAPI -update\n")
	encodeYAML(&b, doc, 0)
	return b.String()
}

func components(s *schemas) object {
	list := object{{"Problem", problemSchema}}
	var names []string
	for name := range s.found {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		list = list.with(name, s.found[name])
	}
	return object{{"securitySchemes", securitySchemes}, {"responses", object{{"Problem", object{
		{"description", "What is wrong, as RFC 9457 says it, with a stable code."},
		{"content", object{{"application/problem+json", object{{"schema", object{{"$ref", "#/components/schemas/Problem"}}}}}}},
	}}}}, {"schemas", list}}
}

func (r route) describe(s *schemas) object {
	o := object{{"operationId", r.name}, {"summary", r.summary}, {"tags", []any{strings.Split(strings.TrimPrefix(r.path, "/api/"), "/")[0]}}}
	if r.open {
		o = o.with("security", []any{object{}})
	}
	parameters, body := r.split(s)
	if r.method == http.MethodPost && strings.HasPrefix(r.path, "/api/portfolios") && !r.takesFile() {
		parameters = append(parameters, object{{"name", "Idempotency-Key"}, {"in", "header"}, {"schema", object{{"type", "string"}}},
			{"description", "Sent twice with one key it happens once."}})
	}
	if len(parameters) > 0 {
		o = o.with("parameters", parameters)
	}
	if len(body) > 0 {
		o = o.with("requestBody", object{{"content", object{{"application/json", object{{"schema",
			object{{"type", "object"}, {"additionalProperties", false}, {"properties", body}}}}}}}})
	}
	if r.takesFile() {
		file := object{{"schema", object{{"type", "string"}, {"format", "binary"}}}}
		o = o.with("requestBody", object{{"required", true}, {"content", object{{"text/csv", file}, {"application/json", file}}}})
	}
	return o.with("responses", object{{strconv.Itoa(r.status), r.answer(s)}, {"default", object{{"$ref", "#/components/responses/Problem"}}}})
}

// split says which fields of the input stand in the path, in the query and in the body. All have one name each; the
// socket sends them as one object.
func (r route) split(s *schemas) (parameters []any, body object) {
	if r.input == nil || r.input.Kind() != reflect.Struct {
		return nil, nil
	}
	for _, f := range jsonFields(r.input) {
		t := f.Type
		if t.Kind() == reflect.Pointer {
			t = t.Elem() // absent, not null
		}
		schema := s.of(t, false)
		inPath := strings.Contains(r.path, "{"+f.name+"}")
		switch {
		case inPath:
			parameters = append(parameters, object{{"name", f.name}, {"in", "path"}, {"required", true}, {"schema", schema}})
		case r.method == http.MethodGet, r.takesFile(), r.method == http.MethodDelete && t.Kind() == reflect.Bool:
			parameters = append(parameters, object{{"name", f.name}, {"in", "query"}, {"schema", schema}})
		default:
			body = body.with(f.name, schema)
		}
	}
	return parameters, body
}

// takesFile is true where the body is a file and no JSON object.
func (r route) takesFile() bool { return strings.HasSuffix(r.path, "/import") }

func (r route) answer(s *schemas) object {
	if r.output == nil || r.output == reflect.TypeFor[api.None]() {
		return object{{"description", "Done."}}
	}
	return object{{"description", "Done."}, {"content", object{{"application/json", object{{"schema", s.of(r.output, false)}}}}}}
}
