package imports

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/shopspring/decimal"
)

var errNumber = errors.New("no number")

// maxDigits keeps a cell from standing for gigabytes of digits.
const maxDigits = 38

// parseNumber reads a number as brokers write it: currency signs and codes, thousands separators, a
// decimal comma, a minus before, behind or as brackets. An empty cell is 0.
func parseNumber(cell string) (decimal.Decimal, error) {
	s := strings.TrimSpace(cell)
	if s == "" || s == "-" || s == "—" {
		return decimal.Decimal{}, nil
	}
	negative := strings.HasPrefix(s, "(") && strings.HasSuffix(s, ")")
	var b strings.Builder
	ended := false // what stands behind a number has begun: in 1.2E-05, a date or a range more digits follow
	for _, c := range s {
		switch {
		case unicode.IsDigit(c) && c < 128, c == '.', c == ',':
			if ended {
				return decimal.Decimal{}, errNumber
			}
			b.WriteRune(c)
		case c == '\'', c == '’', unicode.IsSpace(c):
		case c == '-', c == '−':
			negative, ended = true, b.Len() > 0
		case c == '(', c == ')', c == '+', unicode.Is(unicode.Sc, c), unicode.IsUpper(c):
			ended = b.Len() > 0
		default:
			return decimal.Decimal{}, errNumber
		}
	}
	digits := point(b.String())
	if n := len(strings.Trim(digits, "0.")); n == 0 && !strings.Contains(digits, "0") || len(digits) > maxDigits {
		return decimal.Decimal{}, errNumber
	}
	d, err := decimal.NewFromString(digits)
	if err != nil {
		return decimal.Decimal{}, errNumber
	}
	if negative {
		d = d.Neg()
	}
	return d, nil
}

// point decides which of . and , is the decimal sign: the last one, unless it groups thousands.
func point(s string) string {
	dot, comma := strings.LastIndexByte(s, '.'), strings.LastIndexByte(s, ',')
	switch {
	case comma > dot && (dot >= 0 || strings.Count(s, ",") == 1 && !grouped(s, comma)):
		return strings.ReplaceAll(strings.ReplaceAll(s, ".", ""), ",", ".")
	case comma > dot || strings.Count(s, ".") == 1:
		return strings.ReplaceAll(s, ",", "")
	default: // 1.234.567
		return strings.ReplaceAll(strings.ReplaceAll(s, ",", ""), ".", "")
	}
}

// grouped tells whether a lone comma groups thousands: 1,234 but not 0,234 or 1,23.
func grouped(s string, comma int) bool {
	return len(s)-comma == 4 && comma >= 1 && comma <= 3 && s[0] != '0'
}

// parseDate tries layouts, then the ways in which most programs write a time.
func parseDate(cell string, layouts ...string) (time.Time, bool) {
	s := strings.TrimSpace(cell)
	common := []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05-07:00", "2006-01-02 15:04", time.DateOnly}
	for _, layout := range append(layouts, common...) {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1900 && t.Year() < 2200 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// table is a CSV file by header.
type table struct {
	header map[string]int
	names  []string
	rows   [][]string
	lines  []int
}

// readTable finds the header, the first line that has all of want, and reads what follows. Delimiters
// are guessed; a byte order mark and preambles are skipped.
func readTable(data []byte, want ...string) (*table, error) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	for _, delimiter := range []rune{',', ';', '\t', '|'} {
		if t := readDelimited(text, delimiter, want); t != nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("no line of the file has the columns %s", strings.Join(want, ", "))
}

func readDelimited(text string, delimiter rune, want []string) *table {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.LazyQuotes, r.ReuseRecord = delimiter, -1, true, false
	var t *table
	for n := 0; ; n++ {
		record, err := r.Read()
		if err == io.EOF || err != nil && t == nil {
			return t
		}
		line := 0
		if len(record) > 0 {
			line, _ = r.FieldPos(0)
		}
		if t == nil {
			if t = headed(record, want); t == nil && n > 40 {
				return nil
			}
			continue
		}
		if err != nil {
			record = []string{fmt.Sprintf("%v", err)}
		}
		t.rows, t.lines = append(t.rows, record), append(t.lines, line)
	}
}

func headed(record, want []string) *table {
	t := &table{header: map[string]int{}, names: record}
	for i, name := range record {
		if k := normal(name); k != "" {
			if _, twice := t.header[k]; !twice {
				t.header[k] = i
			}
		}
	}
	for _, name := range want {
		if _, ok := t.header[normal(name)]; !ok {
			return nil
		}
	}
	return t
}

// normal is a column's name without case, spaces and signs.
func normal(name string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, name)
}

// record is one line.
type record struct {
	t     *table
	cells []string
	line  int
}

func (t *table) records() []record {
	list := make([]record, 0, len(t.rows))
	for i, cells := range t.rows {
		if strings.TrimSpace(strings.Join(cells, "")) != "" {
			list = append(list, record{t, cells, t.lines[i]})
		}
	}
	return list
}

// cell is the first of the columns that the file has, as it stands there.
func (r record) cell(names ...string) string {
	for _, name := range names {
		if i, ok := r.t.header[normal(name)]; ok && i < len(r.cells) {
			return r.cells[i]
		}
	}
	return ""
}

// get is cell without the blanks around it.
func (r record) get(names ...string) string { return strings.TrimSpace(r.cell(names...)) }

// at is a cell by its place, for columns without a name.
func (r record) at(i int) string {
	if i < len(r.cells) {
		return strings.TrimSpace(r.cells[i])
	}
	return ""
}
