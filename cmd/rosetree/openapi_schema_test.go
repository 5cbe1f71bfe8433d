package main

import (
	"encoding/json"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/internal/api"
	"rosetree/portfolio"
	"rosetree/prices"
)

// schemas turns Go types into JSON Schema; named structs become components.
type schemas struct {
	names map[reflect.Type]string
	found map[string]object
}

func newSchemas() *schemas {
	return &schemas{names: map[reflect.Type]string{}, found: map[string]object{}}
}

func decimalText(null bool) object {
	return nullable(object{{"type", "string"}, {"description", "A decimal number as text; never a float."}}, null)
}

func nullable(o object, null bool) object {
	if null && o[0].key == "type" {
		o[0].value = []any{o[0].value, "null"}
	}
	return o
}

// of is the schema of a value of type t; null where the value may be null.
func (s *schemas) of(t reflect.Type, null bool) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return nullable(object{{"type", "string"}, {"format", "date-time"}}, null)
	case reflect.TypeFor[decimal.Decimal]():
		return decimalText(null)
	case reflect.TypeFor[portfolio.Figure]():
		return decimalText(true)
	case reflect.TypeFor[prices.SymbolList]():
		return object{{"type", "string"}, {"description", "A comma list; on the socket also a list."}}
	case reflect.TypeFor[json.RawMessage]():
		return object{}
	case reflect.TypeFor[api.None]():
		return object{{"type", "object"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), true)
	case reflect.Struct:
		if t.Name() == "" {
			return s.properties(t)
		}
		return s.component(t)
	case reflect.Slice, reflect.Array:
		return nullable(object{{"type", "array"}, {"items", s.of(t.Elem(), false)}}, null)
	case reflect.Map:
		return object{{"type", "object"}, {"additionalProperties", s.of(t.Elem(), false)}}
	case reflect.Interface:
		return object{}
	}
	return nullable(object{{"type", jsonKind(t.Kind())}}, null)
}

func jsonKind(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Float32, reflect.Float64:
		return "number"
	}
	return "integer"
}

// component names a struct after its type, and where two rooms have one of a name, after the room as well.
func (s *schemas) component(t reflect.Type) object {
	name, known := s.names[t]
	if !known {
		name = strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		if _, taken := s.found[name]; taken {
			room := path.Base(t.PkgPath())
			name = strings.ToUpper(room[:1]) + room[1:] + name
		}
		s.names[t] = name
		s.found[name] = object{} // a type may contain itself
		s.found[name] = s.properties(t)
	}
	return object{{"$ref", "#/components/schemas/" + name}}
}

func (s *schemas) properties(t reflect.Type) object {
	props := object{}
	var required []any
	for _, f := range jsonFields(t) {
		props = props.with(f.name, s.of(f.Type, false))
		if !f.omitted {
			required = append(required, f.name)
		}
	}
	o := object{{"type", "object"}, {"properties", props}}
	if len(required) > 0 {
		o = o.with("required", required)
	}
	return o
}

type jsonField struct {
	reflect.StructField
	name    string
	omitted bool // where empty
}

// jsonFields are the fields that encoding/json sees, embedded ones included.
func jsonFields(t reflect.Type) (fields []jsonField) {
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "", name == "-", !f.IsExported():
		default:
			if name == "" {
				name = f.Name
			}
			if i := slices.IndexFunc(fields, func(o jsonField) bool { return o.name == name }); i < 0 {
				fields = append(fields, jsonField{f, name, strings.Contains(options, "omitempty")})
			}
		}
	}
	return fields
}
