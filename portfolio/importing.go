package portfolio

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio/imports"
)

// importOrder is what the client asks for.
type importOrder struct {
	portfolio   ID
	account     string // id; "" is the first
	format      string
	template    string
	fileName    string
	dry         bool
	skipInvalid bool
	data        []byte
}

// maxImportRows bounds what one file may hold.
const maxImportRows = 200_000

// importFile reads a file and takes its rows: all of them or none. A row that cannot be taken stops all,
// unless the user asked to leave such rows out.
func (s *Service) importFile(ctx context.Context, p auth.Principal, in importOrder) (ImportReport, error) {
	if _, err := s.version(ctx, p.User, in.portfolio); err != nil {
		return ImportReport{}, err
	}
	file, err := s.parse(ctx, p, in)
	if err != nil {
		return ImportReport{}, err
	}
	if len(file.Rows) > maxImportRows {
		return ImportReport{}, api.TooLarge("the file has more than %d rows", maxImportRows)
	}
	var report ImportReport
	var t *taking
	take := func(tx pgx.Tx) (ImportReport, *news, error) {
		t = &taking{service: s, tx: tx, caller: p, order: in, file: file, id: newID()}
		err := t.run(ctx)
		report = t.report
		if err == nil && (in.dry || t.report.Added == 0) {
			return report, nil, errDry
		}
		return report, t.settings.news(p), err
	}
	out, err := writeWithin(ctx, s, p, importPatience, take)
	if errors.Is(err, errDry) {
		out, err = report, nil
	}
	if t != nil {
		t.progress(map[bool]string{true: phaseDone, false: phaseFailed}[err == nil], len(file.Rows))
	}
	return out, err
}

// errDry ends a transaction that must leave nothing behind.
var errDry = errors.New("portfolio: a dry run")

// importPatience is how long the transaction of a large file may take: less than an identity context lives.
const importPatience = 25 * time.Second

func (s *Service) parse(ctx context.Context, p auth.Principal, in importOrder) (*imports.File, error) {
	if in.template == "" {
		file, err := imports.Parse(in.format, in.data)
		if err != nil && in.format == "" {
			if file, matched := s.parseByTemplates(ctx, p, in.data); matched {
				return file, nil
			}
		}
		if err != nil {
			return nil, api.Invalid("format", "%s", err)
		}
		return file, nil
	}
	mapping, err := s.template(ctx, p, in.template)
	if err != nil {
		return nil, err
	}
	file, err := imports.ParseMapped(in.template, mapping, in.data)
	if err != nil {
		return nil, api.Invalid("template", "%s", err)
	}
	return file, nil
}
