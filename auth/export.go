package auth

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// exported are the tables that hold what is the user's, in the order of the export. A test holds the list against
// the access rules: what a user may read is in it, or in notExported.
var exported = []string{"users", "sessions", "portfolios", "portfolio_grants", "accounts", "transactions", "transaction_versions",
	"imports", "import_templates", "watchlists", "alerts", "alert_firings", "user_instruments", "user_prices"}

// notExported are readable by their user and yet no data of theirs.
var notExported = map[string]string{"idempotency": "answers to requests, repeated for a day; all that is in them is in the other tables"}

// secretColumns never leave: secrets, sealed ones and hashes of them. The old program's own columns may be among a user's.
var secretColumns = []string{"verifier", "legacy_id", "password_hash", "hashed_password", "encrypted_password", "password_digest", "webhook_secret", "webhook_sealed"}

// exactColumns are decimals; they leave as text, so that no reader makes floats of them.
var exactColumns = []string{"quantity", "price", "amount", "fee", "tax", "fx_rate", "multiplier", "close", "threshold", "fired_price"}

// exportSlots is how many exports one server makes at a time: each holds all of a user's rows in memory.
const exportSlots = 2

// field is one column of an exported row, as JSON; rows keep the order of their columns.
type field struct {
	name  string
	value json.RawMessage
}

type exportTable struct {
	name string
	rows [][]field
}

// export answers everything that is stored about the caller: one JSON document, or a zip of one CSV file per table.
func (a *Auth) export(w http.ResponseWriter, r *http.Request) error {
	p, err := a.Authenticate(r)
	if err != nil {
		return err
	}
	format := r.URL.Query().Get("format")
	if format == "" {
		format = "json"
	}
	if format != "json" && format != "csv" {
		return api.Invalid("format", "must be json or csv")
	}
	select {
	case a.exports <- struct{}{}:
		defer func() { <-a.exports }()
	default:
		return api.Unavailable("other exports are being made; try again", 5*time.Second)
	}
	tables, err := a.readAll(r.Context(), p)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	kind, name := "application/json", "rosetree.json"
	if format == "csv" {
		kind, name = "application/zip", "rosetree.zip"
		err = writeZip(&body, tables)
	} else {
		err = writeJSON(&body, tables)
	}
	if err != nil {
		return fmt.Errorf("auth: export: %w", err)
	}
	a.note(r.Context(), AuditEntry{Actor: string(p.User), Action: "user.export", Subject: string(p.User), IP: a.where.clientIP(r).String(), Outcome: "ok"})
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, _ = w.Write(body.Bytes()) // the peer may be gone; there is no one left to tell
	return nil
}

func exportSQL() string {
	var parts []string
	for i, table := range exported {
		parts = append(parts, fmt.Sprintf("select %d as n, to_json(t) as row from app.%s t where %s = (select app.uid())", i, table, ownerColumn(table)))
	}
	return strings.Join(parts, " union all ")
}

// readAll reads every table in one statement, so that all rows are of one moment.
func (a *Auth) readAll(ctx context.Context, p Principal) ([]exportTable, error) {
	tables := make([]exportTable, len(exported))
	for i, name := range exported {
		tables[i].name = name
	}
	var b pgx.Batch
	b.Queue(exportSQL()).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var n int
			var row []byte
			if err := rows.Scan(&n, &row); err != nil {
				return err
			}
			fields, err := fieldsOf(row)
			if err != nil {
				return err
			}
			tables[n].rows = append(tables[n].rows, fields)
		}
		return rows.Err()
	})
	if err := a.db.As(p).Do(ctx, &b); err != nil {
		return nil, fmt.Errorf("auth: export: %w", err)
	}
	return tables, nil
}

func ownerColumn(table string) string {
	if table == "users" {
		return "t.id"
	}
	return "t.user_id"
}

// fieldsOf takes a row of JSON apart, drops what never leaves, and makes decimals text.
func fieldsOf(row []byte) (fields []field, err error) {
	d := json.NewDecoder(bytes.NewReader(row))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		f := field{name: key.(string)}
		if err := d.Decode(&f.value); err != nil {
			return nil, err
		}
		if slices.Contains(secretColumns, f.name) {
			continue
		}
		if slices.Contains(exactColumns, f.name) && string(f.value) != "null" {
			f.value = json.RawMessage(`"` + string(f.value) + `"`)
		}
		fields = append(fields, f)
	}
	return fields, nil
}

func writeJSON(w io.Writer, tables []exportTable) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"format":"rosetree.user.v1","exported_at":%q`, time.Now().UTC().Format(time.RFC3339))
	for _, t := range tables {
		fmt.Fprintf(&b, ",\n%q:[", t.name)
		for i, row := range t.rows {
			if i > 0 {
				b.WriteString(",\n ")
			}
			b.WriteByte('{')
			for j, f := range row {
				if j > 0 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, "%q:%s", f.name, f.value)
			}
			b.WriteByte('}')
		}
		b.WriteByte(']')
	}
	b.WriteString("}\n")
	_, err := w.Write(b.Bytes())
	return err
}

func writeZip(w io.Writer, tables []exportTable) error {
	z := zip.NewWriter(w)
	for _, t := range tables {
		file, err := z.Create(t.name + ".csv")
		if err != nil {
			return err
		}
		if err := writeCSV(file, t.rows); err != nil {
			return err
		}
	}
	return z.Close()
}

func writeCSV(w io.Writer, rows [][]field) error {
	c := csv.NewWriter(w)
	for i, row := range rows {
		header, cells := make([]string, len(row)), make([]string, len(row))
		for j, f := range row {
			header[j], cells[j] = f.name, cell(f.value)
		}
		if i == 0 {
			if err := c.Write(header); err != nil {
				return err
			}
		}
		if err := c.Write(cells); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// cell is a JSON value as a spreadsheet reads it: text bare, null empty, the rest as JSON. A text that a spreadsheet
// would run as a formula gets an apostrophe in front; a number stays one.
func cell(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return string(value)
	}
	if string(value) == "null" {
		return ""
	}
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) && !json.Valid([]byte(text)) {
		return "'" + text
	}
	return text
}
