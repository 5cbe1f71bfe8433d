package main

import (
	"io"
	"log/slog"
)

// LogConfig is how the server logs.
type LogConfig struct {
	Level  slog.Level `env:"LOG_LEVEL" envDefault:"info" doc:"debug, info, warn or error"`
	Format string     `env:"LOG_FORMAT" envDefault:"json" doc:"json or text"`
}

// Validate names a format that does not exist.
func (c LogConfig) Validate() []error {
	if c.Format != "json" && c.Format != "text" {
		return []error{wrongSetting("LOG_FORMAT", c.Format, "json or text")}
	}
	return nil
}

func (c LogConfig) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
