package portfolio

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio/imports"
)

// Import is an import that was done.
type Import struct {
	ID         string     `json:"id"`
	Format     string     `json:"format"`
	FileName   string     `json:"file_name"`
	Rows       int        `json:"rows"`
	Added      int        `json:"added"`
	Duplicates int        `json:"duplicates"`
	CreatedAt  time.Time  `json:"created_at"`
	UndoneAt   *time.Time `json:"undone_at"`
}

type importList struct {
	Imports []Import `json:"imports"`
}

func (s *Service) listImports(ctx context.Context, p auth.Principal, in which) (out importList, err error) {
	err = s.db.As(p).Tx(ctx, func(tx pgx.Tx) error {
		if _, err := settingsOf(ctx, tx, in.Portfolio, false); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id, format, file_name, rows, added, duplicates, created_at, undone_at FROM app.imports WHERE portfolio_id = $1 ORDER BY created_at DESC, id DESC`, in.Portfolio)
		if err != nil {
			return err
		}
		out.Imports, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (i Import, err error) {
			return i, row.Scan(&i.ID, &i.Format, &i.FileName, &i.Rows, &i.Added, &i.Duplicates, &i.CreatedAt, &i.UndoneAt)
		})
		return err
	})
	return out, err
}

type whichImport struct {
	which
	Import string `json:"import"`
}

// undoImport takes all rows of an import back that are still there. Each of them can be undone by itself.
func (s *Service) undoImport(ctx context.Context, p auth.Principal, in whichImport) (api.None, error) {
	return writeWithin(ctx, s, p, importPatience, func(tx pgx.Tx) (out api.None, n *news, err error) {
		st, err := settingsOf(ctx, tx, in.Portfolio, true)
		if err != nil {
			return out, nil, err
		}
		if !validID(in.Import) {
			return out, nil, api.NotFound("import")
		}
		tag, err := tx.Exec(ctx, `UPDATE app.imports SET undone_at = now() WHERE portfolio_id = $1 AND id = $2 AND undone_at IS NULL`, st.id, in.Import)
		if err == nil && tag.RowsAffected() == 0 {
			err = api.NotFound("import")
		}
		if err != nil {
			return out, nil, err
		}
		if _, err := tx.Exec(ctx, `UPDATE app.transactions SET deleted_at = now() WHERE portfolio_id = $1 AND import_id = $2 AND deleted_at IS NULL`, st.id, in.Import); err != nil {
			return out, nil, err
		}
		st, err = settingsOf(ctx, tx, st.id, false)
		return out, st.news(p), err
	})
}

// Template is a remembered way to read a CSV.
type Template struct {
	Name    string          `json:"name"`
	Mapping imports.Mapping `json:"mapping"`
}

type templateList struct {
	Templates []Template `json:"templates"`
	Formats   []string   `json:"formats"` // those that need none
}

func (s *Service) listTemplates(ctx context.Context, p auth.Principal, _ none) (templateList, error) {
	out := templateList{Templates: []Template{}, Formats: imports.Formats()}
	var b pgx.Batch
	b.Queue(`SELECT name, mapping FROM app.import_templates ORDER BY name, id`).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var t Template
			var mapping []byte
			if err := rows.Scan(&t.Name, &mapping); err != nil {
				return err
			}
			if err := json.Unmarshal(mapping, &t.Mapping); err != nil {
				continue // written by another hand
			}
			out.Templates = append(out.Templates, t)
		}
		return rows.Err()
	})
	return out, s.db.As(p).Do(ctx, &b)
}

// saveTemplate remembers a mapping under a name, in place of the one that had it.
func (s *Service) saveTemplate(ctx context.Context, p auth.Principal, in Template) (Template, error) {
	name, err := parseName("name", in.Name)
	if err != nil {
		return Template{}, err
	}
	if err := in.Mapping.Check(); err != nil {
		return Template{}, api.Invalid("mapping", "%s", err)
	}
	mapping, err := json.Marshal(in.Mapping)
	if err != nil {
		return Template{}, err
	}
	return write(ctx, s, p, func(tx pgx.Tx) (Template, *news, error) {
		if _, err := tx.Exec(ctx, `DELETE FROM app.import_templates WHERE name = $1`, name); err != nil {
			return Template{}, nil, err
		}
		_, err := tx.Exec(ctx, `INSERT INTO app.import_templates (user_id, id, name, mapping) VALUES ($1, $2, $3, $4)`, p.User, newID(), name, mapping)
		return Template{name, in.Mapping}, nil, err
	})
}

type whichTemplate struct {
	Name string `json:"name"`
}

func (s *Service) deleteTemplate(ctx context.Context, p auth.Principal, in whichTemplate) (api.None, error) {
	return write(ctx, s, p, func(tx pgx.Tx) (out api.None, n *news, err error) {
		tag, err := tx.Exec(ctx, `DELETE FROM app.import_templates WHERE name = $1`, in.Name)
		if err == nil && tag.RowsAffected() == 0 {
			err = api.NotFound("template")
		}
		return out, nil, err
	})
}

func (s *Service) template(ctx context.Context, p auth.Principal, name string) (imports.Mapping, error) {
	all, err := s.listTemplates(ctx, p, none{})
	if err != nil {
		return imports.Mapping{}, err
	}
	for _, t := range all.Templates {
		if t.Name == name {
			return t.Mapping, nil
		}
	}
	return imports.Mapping{}, api.NotFound("template")
}

// parseByTemplates tries what the user has taught before on a file that no format knows.
func (s *Service) parseByTemplates(ctx context.Context, p auth.Principal, data []byte) (*imports.File, bool) {
	all, err := s.listTemplates(ctx, p, none{})
	if err != nil {
		return nil, false
	}
	for _, t := range all.Templates {
		if file, err := imports.ParseMapped(t.Name, t.Mapping, data); err == nil {
			return file, true
		}
	}
	return nil, false
}
