package imports

import (
	"regexp"
	"strings"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
)

// One trade of DEGIRO is two to four rows that share an order: the trade, with quantity and price only in
// its description, its costs, and the two sides of a currency exchange.
var degiroTrade = regexp.MustCompile(`(?i)^(koop|verkoop|buy|sell|kauf|verkauf|achat|vente)\s+([\d.,' ]+)\s+.*?@\s*([\d.,' ]+)\s*([A-Z]{3})`)

func parseDegiro(data []byte, columns []string) (*File, error) {
	t, err := readTable(data, columns...)
	if err != nil {
		return nil, err
	}
	f := &File{}
	trades := map[string]int{} // by order: where the trade is
	for _, r := range t.records() {
		row, order := Row{Line: r.line}, r.get("Order Id", "Order ID")
		degiroRow(r, &row)
		if row.Type == ledger.Fee && row.Bad == "" && order != "" {
			if i, ok := trades[order]; ok && f.Rows[i].Currency == row.Currency {
				f.Rows[i].Fee = f.Rows[i].Fee.Add(row.Amount.Decimal.Abs())
				row.Skip = "a cost of its order: counted there"
			}
		}
		if (row.Type == ledger.Buy || row.Type == ledger.Sell) && order != "" {
			trades[order] = len(f.Rows)
		}
		f.Rows = append(f.Rows, row)
	}
	return f, nil
}

func degiroRow(r record, row *Row) {
	row.date(r.get("Datum", "Date")+" "+r.get("Tijd", "Time"), "02-01-2006 15:04")
	row.Symbol, row.ISIN, row.Name = r.get("ISIN"), r.get("ISIN"), r.get("Product")
	text := r.get("Omschrijving", "Description")
	row.Note = text
	change := columnAfter(r, "Mutatie", "Change")
	row.Currency = r.get("Mutatie", "Change")
	var amount decimal.Decimal
	row.number(&amount, "amount", change)
	row.Amount = decimal.NewNullDecimal(amount)
	lower := strings.ToLower(text)
	if m := degiroTrade.FindStringSubmatch(text); m != nil {
		row.number(&row.Quantity, "quantity", m[2])
		row.null(&row.Price, "price", m[3])
		row.Currency = m[4]
		row.Type = ledger.Buy
		if amount.IsPositive() {
			row.Type = ledger.Sell
		}
		return
	}
	switch {
	case strings.Contains(lower, "dividendbelasting") || strings.Contains(lower, "dividend tax"):
		row.debit(ledger.Tax, amount)
	case strings.Contains(lower, "dividend"):
		row.Type = ledger.Dividend
	case strings.Contains(lower, "transactiekosten") || strings.Contains(lower, "transaction and/or third") || strings.Contains(lower, "kosten") || strings.Contains(lower, "fee"):
		row.debit(ledger.Fee, amount)
	case strings.Contains(lower, "rente") || strings.Contains(lower, "interest"):
		row.interest(amount)
		row.Symbol = ""
	case strings.Contains(lower, "storting"), strings.Contains(lower, "deposit"), strings.Contains(lower, "withdrawal"): // and terugstorting, which goes out
		row.transfer(amount)
	case strings.Contains(lower, "valuta") || strings.Contains(lower, "fx ") || strings.Contains(lower, "cash sweep"):
		row.Skip = "an exchange of currencies, or a move between accounts of the broker"
	default:
		row.bad("what %q means is not known", text)
	}
}

// columnAfter is the unnamed column that follows a named one: DEGIRO writes the currency under the name
// and the amount beside it.
func columnAfter(r record, names ...string) string {
	for _, name := range names {
		if i, ok := r.t.header[normal(name)]; ok {
			return r.at(i + 1)
		}
	}
	return ""
}
