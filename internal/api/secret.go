package api

import (
	"fmt"
	"io"
	"log/slog"
)

// ShownSecret stands where a secret would.
const ShownSecret = "[secret]"

// Secret is a setting's text that whatever prints it, with any verb, as JSON or in a log, shows as "[secret]". string(s) is the text:
// who writes that means it.
type Secret string

func (Secret) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, ShownSecret) }
func (Secret) LogValue() slog.Value         { return slog.StringValue(ShownSecret) }
func (Secret) MarshalText() ([]byte, error) { return []byte(ShownSecret), nil }
