package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// setting is one environment variable, as the struct that it configures describes it.
type setting struct {
	Name     string `json:"name"`
	Default  string `json:"default"`
	Value    string `json:"value"` // "[secret]" where it holds one
	Doc      string `json:"meaning"`
	Required bool   `json:"required"`

	secret bool
	kind   reflect.Type
}

// listSettings reads the tags of a config struct and of the structs inside it.
//
//	Listen string `env:"LISTEN_ADDR" envDefault:"127.0.0.1:8080" doc:"HTTP and WebSocket"`
//
// A `secret:"true"` field's value is never shown.
func listSettings(t reflect.Type) []setting {
	var all []setting
	for f := range t.Fields() {
		tag, tagged := f.Tag.Lookup("env")
		if !tagged {
			if f.Type.Kind() == reflect.Struct && f.IsExported() {
				all = append(all, listSettings(f.Type)...)
			}
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		all = append(all, setting{
			Name: name, Default: f.Tag.Get("envDefault"), Doc: f.Tag.Get("doc"),
			Required: slices.Contains(strings.Split(options, ","), "required"),
			secret:   f.Tag.Get("secret") == "true", kind: f.Type,
		})
	}
	return all
}

// loadSettings fills T from environ ("NAME=value"). All that is wrong is named at once, each in one
// line: the variable, what it holds (never a secret) and what is expected.
func loadSettings[T any](environ []string) (T, error) {
	all := listSettings(reflect.TypeFor[T]())
	values := environMap(environ)
	wrong := misspelt(all, values)
	for _, s := range all {
		if err := checkSetting[T](s, values); err != nil {
			wrong = append(wrong, err)
		}
	}
	var zero T
	if len(wrong) > 0 {
		return zero, errors.Join(wrong...)
	}
	c, err := env.ParseAsWithOptions[T](env.Options{Environment: values})
	if err != nil {
		return zero, err
	}
	return c, errors.Join(validate(reflect.ValueOf(c))...)
}

// validate asks every struct inside c that has rules of its own (a range, a form).
func validate(c reflect.Value) []error {
	if v, ok := c.Interface().(interface{ Validate() []error }); ok {
		return v.Validate()
	}
	var wrong []error
	for i := range c.NumField() {
		if f := c.Field(i); f.Kind() == reflect.Struct && c.Type().Field(i).IsExported() {
			wrong = append(wrong, validate(f)...)
		}
	}
	return wrong
}

// checkSetting parses one variable by itself, so that its error can name it and what it holds.
func checkSetting[T any](s setting, values map[string]string) error {
	value := values[s.Name]
	if value == "" {
		if s.Required {
			return fmt.Errorf("%s is not set: %s", s.Name, s.Doc)
		}
		return nil
	}
	_, err := env.ParseAsWithOptions[T](env.Options{Environment: map[string]string{s.Name: value}})
	aggregate, _ := errors.AsType[env.AggregateError](err)
	for _, e := range aggregate.Errors {
		if parse, ok := errors.AsType[env.ParseError](e); ok {
			return fmt.Errorf("%s holds %s, which is not %s: %s", s.Name, s.show(value), expected(s.kind), reason(parse.Err))
		}
	}
	return nil
}

func (s setting) show(value string) string {
	if s.secret && value != "" {
		return "[secret]"
	}
	return fmt.Sprintf("%q", value)
}

func expected(t reflect.Type) string {
	switch {
	case t.String() == "time.Duration":
		return "a duration such as 30s or 24h"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "a whole number"
	case t.Kind() == reflect.Float64:
		return "a number"
	default:
		return "a value that it takes"
	}
}

// reason is an error's last words: strconv repeats the value, and that may be a secret.
func reason(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		return text[i+2:]
	}
	return text
}

// misspelt finds variables that were surely meant for us: ROSETREE_… (no setting has that prefix), and
// a name one or two letters away from a setting that is itself not set.
func misspelt(all []setting, values map[string]string) []error {
	var wrong []error
	for name := range values {
		if slices.ContainsFunc(all, func(s setting) bool { return s.Name == name }) {
			continue
		}
		bare, prefixed := strings.CutPrefix(name, "ROSETREE_")
		near := nearest(all, values, bare)
		switch {
		case near != "":
			wrong = append(wrong, fmt.Errorf("%s is not a setting; did you mean %s?", name, near))
		case prefixed && !slices.Contains(otherVariables, name):
			wrong = append(wrong, fmt.Errorf("%s is not a setting; 'rosetree config' lists them", name))
		}
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return wrong
}

// otherVariables are read by the tools, not by the server.
var otherVariables = []string{"ROSETREE_BIN"}

func nearest(all []setting, values map[string]string, name string) string {
	for _, s := range all {
		if _, set := values[s.Name]; !set && len(name) >= 8 && distance(s.Name, name) <= 2 {
			return s.Name
		}
	}
	return ""
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			if a[i] == b[j] {
				row[j+1] = diagonal
			} else {
				row[j+1] = 1 + min(diagonal, above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}

func environMap(environ []string) map[string]string {
	values := make(map[string]string, len(environ))
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			values[name] = value
		}
	}
	return values
}

func wrongSetting(name, holds, expected string) error {
	return fmt.Errorf("%s holds %q, expected %s", name, holds, expected)
}
