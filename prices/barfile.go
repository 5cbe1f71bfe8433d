package prices

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// readBars reads daily or monthly bars from CSV with a header: date, open, high, low, close for one
// instrument, which is whose, or symbol, date, price. A price alone is the close of its period; the open
// is the close before. Further columns are not needed.
func readBars(r io.Reader, whose Symbol) (map[Symbol][]bar, error) {
	file := csv.NewReader(r)
	file.ReuseRecord = true
	header, err := file.Read()
	if err != nil {
		return nil, fmt.Errorf("no header: %w", err)
	}
	columns, err := findColumns(header, whose)
	if err != nil {
		return nil, err
	}
	all := map[Symbol][]bar{}
	for {
		row, err := file.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		s, b, err := columns.bar(row)
		if err != nil {
			line, _ := file.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		all[s] = append(all[s], b)
	}
	for s := range all {
		if err := complete(all[s]); err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
	}
	return all, nil
}

// columns are where a file keeps what; -1: nowhere.
type columns struct {
	symbol, date, open, high, low, close int
	whose                                Symbol // of all rows, where there is no column symbol
}

func findColumns(header []string, whose Symbol) (columns, error) {
	find := func(names ...string) int {
		return slices.IndexFunc(header, func(h string) bool { return slices.Contains(names, strings.ToLower(strings.TrimSpace(h))) })
	}
	c := columns{find("symbol"), find("date"), find("open"), find("high"), find("low"), find("close", "price"), whose}
	switch {
	case c.date < 0 || c.close < 0:
		return c, errors.New("the header needs the columns date and close (or price)")
	case c.symbol < 0 && whose == "":
		return c, errors.New("no column symbol: say whose prices these are, with replay:FILE?symbol=NAME or backfill FILE --symbol NAME")
	case c.symbol >= 0 && whose != "":
		return c, fmt.Errorf("the column symbol says whose prices these are, and so does %s: leave that away", whose)
	}
	return c, nil
}

func (c columns) bar(row []string) (Symbol, bar, error) {
	s := c.whose
	var b bar
	var err error
	if c.symbol >= 0 {
		if s, err = ParseSymbol(row[c.symbol]); err != nil {
			return "", b, err
		}
	}
	if b.from, err = barDate(row[c.date]); err != nil {
		return "", b, err
	}
	for _, f := range []struct {
		column int
		into   *decimal.Decimal
	}{{c.open, &b.open}, {c.high, &b.high}, {c.low, &b.low}, {c.close, &b.close}} {
		if f.column < 0 {
			continue
		}
		price, err := parsePrice(row[f.column])
		if err != nil || price.Sign() <= 0 {
			return "", b, fmt.Errorf("%q is not a price", row[f.column])
		}
		*f.into = price
	}
	return s, b, nil
}

func barDate(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, "Jan 2 2006"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date such as 2006-01-02 or Jan 2 2006", text)
}

// complete sorts bars and fills in what the file leaves open: the end of each period, and an open.
func complete(bars []bar) error {
	slices.SortFunc(bars, func(a, b bar) int { return a.from.Compare(b.from) })
	monthly := isMonthly(bars)
	for i := range bars {
		b := &bars[i]
		b.until = b.from.AddDate(0, 0, 1)
		if monthly {
			b.until = b.from.AddDate(0, 1, 0)
		}
		if i > 0 && b.from.Equal(bars[i-1].from) {
			return fmt.Errorf("%s is there twice", b.from.Format(time.DateOnly))
		}
		if b.open.IsZero() {
			b.open = b.close
			if i > 0 {
				b.open = bars[i-1].close
			}
		}
		if b.high.IsPositive() && b.low.IsPositive() && (b.high.LessThan(decimal.Max(b.open, b.close)) || b.low.GreaterThan(decimal.Min(b.open, b.close))) {
			return fmt.Errorf("%s: open and close do not lie between low and high", b.from.Format(time.DateOnly))
		}
	}
	return nil
}

// isMonthly: every bar begins a month, and there is more than one.
func isMonthly(bars []bar) bool {
	return len(bars) > 1 && !slices.ContainsFunc(bars, func(b bar) bool { return b.from.Day() != 1 })
}
