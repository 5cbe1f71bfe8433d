package imports

import (
	"strings"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
)

var performanceTypes = map[string]ledger.Type{
	"buy": ledger.Buy, "sell": ledger.Sell, "dividend": ledger.Dividend, "interest": ledger.Interest, "deposit": ledger.Deposit, "removal": ledger.Withdrawal,
	"fees": ledger.Fee, "taxes": ledger.Tax, "delivery (inbound)": ledger.TransferIn, "delivery (outbound)": ledger.TransferOut, "interest charge": ledger.Fee,
	"transfer (inbound)": ledger.TransferIn, "transfer (outbound)": ledger.TransferOut,
	"kauf": ledger.Buy, "verkauf": ledger.Sell, "dividende": ledger.Dividend, "zinsen": ledger.Interest, "einlage": ledger.Deposit, "entnahme": ledger.Withdrawal,
	"gebühren": ledger.Fee, "steuern": ledger.Tax, "einlieferung": ledger.TransferIn, "auslieferung": ledger.TransferOut, "zinsbelastung": ledger.Fee,
	"umbuchung (eingang)": ledger.TransferIn, "umbuchung (ausgang)": ledger.TransferOut,
}

// performanceRow is a line of Portfolio Performance, in English or German. Value is net: what was
// charged or credited; the gross is what it was before fees and taxes.
func performanceRow(r record, row *Row) {
	row.date(r.get("Date", "Datum"), "2006-01-02T15:04", "2006-01-02T15:04:05", "02.01.2006 15:04", "02.01.2006")
	row.Currency = r.get("Transaction Currency", "Buchungswährung")
	row.Symbol, row.ISIN, row.Name = r.get("Ticker Symbol", "Ticker-Symbol"), r.get("ISIN"), r.get("Security Name", "Wertpapiername")
	row.Note = r.get("Note", "Notiz")
	if row.Symbol == "" {
		row.Symbol = row.ISIN
	}
	row.number(&row.Quantity, "shares", r.get("Shares", "Stück"))
	row.number(&row.Fee, "fees", r.get("Fees", "Gebühren"))
	row.number(&row.Tax, "taxes", r.get("Taxes", "Steuern"))
	var value decimal.Decimal
	row.number(&value, "value", r.get("Value", "Wert"))
	kind, ok := performanceTypes[strings.ToLower(r.get("Type", "Typ"))]
	if !ok {
		row.bad("type %q is not known", r.get("Type", "Typ"))
		return
	}
	row.Type = kind
	gross, costs := value.Abs(), row.Fee.Abs().Add(row.Tax.Abs())
	switch kind {
	case ledger.Buy, ledger.TransferIn:
		gross = gross.Sub(costs)
	case ledger.Sell, ledger.Dividend, ledger.Interest:
		gross = value.Add(costs) // with its sign: costs may be more than what came in
	case ledger.Fee:
		row.Fee = decimal.Decimal{}
	case ledger.Tax:
		row.Tax = decimal.Decimal{}
	}
	row.Amount = decimal.NewNullDecimal(gross)
	switch kind {
	case ledger.Dividend, ledger.Interest, ledger.Fee, ledger.Tax, ledger.Deposit, ledger.Withdrawal:
		row.Quantity = decimal.Decimal{}
		if kind == ledger.Deposit || kind == ledger.Withdrawal || kind == ledger.Interest {
			row.Symbol = ""
		}
	case ledger.TransferOut:
		row.Amount = decimal.NullDecimal{}
	}
}
