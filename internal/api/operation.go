package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
)

// Limits of what a client may send in one JSON body.
const MaxBody = 64 << 10

// Operation is one thing that a client can ask for: over HTTP by Method and Path, on the socket by
// Name. C is who asks; it comes from authentication and never from the input.
type Operation[C any] struct {
	Name   string // "transaction.add"
	Method string // "POST"
	Path   string // "/api/portfolios/{portfolio}/transactions"
	Status int    // HTTP status of success
	Input  reflect.Type
	Output reflect.Type

	invoke func(ctx context.Context, caller C, params json.RawMessage) (any, error)
}

// Op defines an operation. I is a struct; each of its fields has a json tag, and path wildcards and
// query parameters carry the same names. A field that is missing stays zero: do checks what it needs.
func Op[C, I, O any](name, method, path string, do func(context.Context, C, I) (O, error)) Operation[C] {
	status := http.StatusOK
	switch {
	case reflect.TypeFor[O]() == reflect.TypeFor[None]():
		status = http.StatusNoContent
	case method == http.MethodPost:
		status = http.StatusCreated
	}
	return Operation[C]{Name: name, Method: method, Path: path, Status: status,
		Input: reflect.TypeFor[I](), Output: reflect.TypeFor[O](),
		invoke: func(ctx context.Context, caller C, params json.RawMessage) (any, error) {
			var in I
			if err := Decode(params, &in); err != nil {
				return nil, err
			}
			return do(ctx, caller, in)
		}}
}

// None is the output of an operation that answers nothing: 204 over HTTP, an empty result on the socket.
type None struct{}

// WithStatus is o answering success with another HTTP status.
func (o Operation[C]) WithStatus(status int) Operation[C] {
	o.Status = status
	return o
}

// Call runs the operation with the params of a socket message.
func (o Operation[C]) Call(ctx context.Context, caller C, params json.RawMessage) (any, error) {
	return o.invoke(ctx, caller, params)
}

// As gives o another kind of caller: allow turns one into the other or refuses it.
func As[B, A any](o Operation[A], allow func(B) (A, error)) Operation[B] {
	return Operation[B]{Name: o.Name, Method: o.Method, Path: o.Path, Status: o.Status, Input: o.Input, Output: o.Output,
		invoke: func(ctx context.Context, caller B, params json.RawMessage) (any, error) {
			a, err := allow(caller)
			if err != nil {
				return nil, err
			}
			return o.invoke(ctx, a, params)
		}}
}

// Handler serves the operation over HTTP; authenticate says who asks.
func (o Operation[C]) Handler(authenticate func(*http.Request) (C, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := authenticate(r)
		if err != nil {
			WriteProblem(w, r, err)
			return
		}
		params, err := o.params(w, r)
		if err != nil {
			WriteProblem(w, r, err)
			return
		}
		ctx := WithIdempotencyKey(r.Context(), r.Header.Get("Idempotency-Key"))
		out, err := o.invoke(ctx, caller, params)
		if err != nil {
			WriteProblem(w, r, err)
			return
		}
		if _, none := out.(None); none {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		WriteJSON(w, o.Status, out)
	})
}

// params joins body, query and path into the one object that the socket sends as params.
func (o Operation[C]) params(w http.ResponseWriter, r *http.Request) (json.RawMessage, error) {
	body, err := ReadBody(w, r, MaxBody)
	if err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(body)) > 0 {
		if err := Decode(body, &fields); err != nil {
			return nil, err
		}
	}
	for name, values := range r.URL.Query() {
		for _, value := range values {
			if err := o.set(fields, name, value); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range wildcards(o.Path) {
		if err := o.set(fields, name, r.PathValue(name)); err != nil {
			return nil, err
		}
	}
	return json.Marshal(fields)
}

// set puts a path or query value, which is text, into fields as the JSON type that the input wants.
func (o Operation[C]) set(fields map[string]json.RawMessage, name, value string) error {
	if _, twice := fields[name]; twice {
		return BadRequest("%q is given twice", name)
	}
	kind := fieldKind(o.Input, name)
	switch kind {
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		if !json.Valid([]byte(value)) {
			return Invalid(name, "%q is not a %s", value, kind)
		}
		fields[name] = json.RawMessage(value)
	default:
		fields[name], _ = json.Marshal(value) // a string always encodes
	}
	return nil
}

func fieldKind(t reflect.Type, name string) reflect.Kind {
	for _, f := range reflect.VisibleFields(t) {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			if f.Type.Kind() == reflect.Pointer {
				return f.Type.Elem().Kind()
			}
			return f.Type.Kind()
		}
	}
	return reflect.Invalid
}

func wildcards(path string) []string {
	var names []string
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			names = append(names, strings.TrimSuffix(strings.TrimSuffix(name, "}"), "..."))
		}
	}
	return names
}

// ReadBody reads at most limit bytes of r's body, which must be JSON where there is one.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, TooLarge("the body has more than %d bytes", tooLarge.Limit)
	}
	if err != nil {
		return nil, BadRequest("the body could not be read to its end")
	}
	if len(body) > 0 && !isJSON(r.Header.Get("Content-Type")) {
		return nil, &Problem{Status: http.StatusUnsupportedMediaType, Code: "bad_request", Message: "send Content-Type: application/json"}
	}
	return body, nil
}

func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/json")
}

// Decode fills v from one JSON value. Unknown fields, a second value and wrong types are errors that
// name the field, so that a typo is never silently lost. Nothing at all counts as {}.
func Decode(data []byte, v any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return decodeProblem(err, reflect.TypeOf(v))
	}
	if _, err := d.Token(); err != io.EOF {
		return BadRequest("more than one JSON value")
	}
	return nil
}

func decodeProblem(err error, into reflect.Type) error {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		p := BadRequest("expected %s, not %s", jsonType(wrong.Type), wrong.Value)
		p.Field = fieldPath(into, wrong.Field)
		return p
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		p := BadRequest("unknown field %s", name)
		p.Field = strings.Trim(name, `"`)
		return p
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return BadRequest("not valid JSON at byte %d: %s", syntax.Offset, syntax)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return BadRequest("the JSON ends too early")
	}
	return BadRequest("%s", strings.TrimPrefix(fmt.Sprint(err), "json: "))
}

// fieldPath is path as the client wrote it: encoding/json puts the Go names of embedded structs in it.
func fieldPath(t reflect.Type, path string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	first, rest, nested := strings.Cut(path, ".")
	if !nested || t.Kind() != reflect.Struct {
		return path
	}
	if f, ok := t.FieldByName(first); ok && f.Anonymous {
		return fieldPath(f.Type, rest)
	}
	return path
}

func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	default:
		return "a number"
	}
}
