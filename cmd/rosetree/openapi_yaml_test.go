package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// object is a YAML mapping that keeps its order.
type object []pair

type pair struct {
	key   string
	value any
}

func (o object) with(key string, value any) object { return append(o, pair{key, value}) }

// encodeYAML writes objects, lists, texts, numbers and booleans: all that an OpenAPI document needs.
func encodeYAML(b *strings.Builder, v any, indent int) {
	pad := strings.Repeat("  ", indent)
	switch v := v.(type) {
	case object:
		for _, p := range v {
			b.WriteString(pad + scalar(p.key) + ":")
			encodeChild(b, p.value, indent+1)
		}
	case []any:
		for _, item := range v {
			if o, is := item.(object); is && len(o) == 0 {
				b.WriteString(pad + "- {}\n")
				continue
			}
			var child strings.Builder
			encodeYAML(&child, item, indent+1)
			text := child.String()
			b.WriteString(pad + "- " + strings.TrimPrefix(text, pad+"  "))
		}
	default:
		b.WriteString(pad + scalar(fmt.Sprint(v)) + "\n")
	}
}

func encodeChild(b *strings.Builder, v any, indent int) {
	switch v := v.(type) {
	case object:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
		b.WriteString("\n")
		encodeYAML(b, v, indent)
	case []any:
		if len(v) == 0 {
			b.WriteString(" []\n")
			return
		}
		b.WriteString("\n")
		encodeYAML(b, v, indent)
	case string:
		b.WriteString(" " + scalar(v) + "\n")
	default:
		fmt.Fprintf(b, " %v\n", v)
	}
}

var plain = regexp.MustCompile(`^[A-Za-z/$_][A-Za-z0-9 _/{}.$-]*$`)

// scalar quotes what YAML would read as something else than this text.
func scalar(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n", "~":
		return strconv.Quote(s)
	}
	if plain.MatchString(s) && strings.TrimSpace(s) == s {
		return s
	}
	return strconv.Quote(s)
}
