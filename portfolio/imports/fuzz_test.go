package imports

import (
	"encoding/json"
	"strings"
	"testing"

	"rosetree/portfolio/ledger"
)

// FuzzParseMapped reads any file by any mapping.
func FuzzParseMapped(f *testing.F) {
	f.Add([]byte(`{"columns":{"executed_at":"d","type":"t","symbol":"s","quantity":"q","amount":"a"},"types":{"kauf":"buy"},"currency":"EUR","day_first":true}`), []byte("d;t;s;q;a\n03/04/2024;Kauf;SAP;3;-300,00\n"))
	f.Add([]byte(`{"columns":{"executed_at":"d","type":"t","currency":"c"}}`), []byte("d,t,c\n2024-01-02,deposit,GBX\n"))
	f.Fuzz(func(t *testing.T, mapping, data []byte) {
		var m Mapping
		if json.Unmarshal(mapping, &m) != nil {
			return
		}
		file, err := ParseMapped("fuzz", m, data)
		if err != nil {
			return
		}
		again, err := ParseMapped("fuzz", m, data)
		if err != nil || len(again.Rows) != len(file.Rows) {
			t.Fatalf("read twice: %d rows and %v", len(file.Rows), err)
		}
		keys := map[string]bool{}
		for i, r := range file.Rows {
			if r.Key != again.Rows[i].Key || keys[r.Key] {
				t.Fatalf("the key %q of row %d is not its own", r.Key, i)
			}
			keys[r.Key] = true
			if r.Quantity.IsNegative() || r.Fee.IsNegative() || r.Tax.IsNegative() || r.Amount.Decimal.IsNegative() || r.Price.Decimal.IsNegative() {
				t.Fatalf("a negative number in %+v", r)
			}
		}
	})
}

// FuzzOwnExport: what our own export can say comes back as it was said, to the digit.
func FuzzOwnExport(f *testing.F) {
	f.Add("Main", "buy", "ACME", "3.00000000000000000007", "1.10", "0.10", "a note", "50")
	f.Add("", "deposit", "", "", "1e400", "-1", "\x00", "0")
	f.Fuzz(func(t *testing.T, account, kind, symbol, quantity, price, fee, note, multiplier string) {
		own := Own{Format: "rosetree", Version: 1, Accounts: []OwnAccount{{Name: account, Currency: "USD"}}, Transactions: []OwnTransaction{{ID: "1", Account: account, Type: ledger.Type(kind), Symbol: symbol,
			Quantity: quantity, Price: price, Currency: "USD", Fee: fee, Tax: "0", Note: note}}, Instruments: []OwnInstrument{{Symbol: "FUT", Currency: "USD", Multiplier: multiplier, Prices: []OwnPrice{{"2024-01-02", price}}}}}
		text, err := json.Marshal(own)
		if err != nil {
			return
		}
		file, err := Parse("", text)
		if err != nil {
			return
		}
		i := file.Instruments[0]
		if !i.Multiplier.IsPositive() || !i.Closes[0].IsPositive() {
			t.Fatalf("taken: %+v", i)
		}
		if r := file.Rows[0]; r.Bad == "" && strings.Trim(quantity, "0123456789.") == "" && strings.Count(quantity, ".") == 1 && !strings.HasPrefix(quantity, ".") && !strings.HasSuffix(quantity, ".") {
			if want := strings.TrimLeft(strings.TrimRight(strings.TrimRight(quantity, "0"), "."), "0"); strings.TrimLeft(r.Quantity.String(), "0") != want && r.Quantity.String() != "0" {
				t.Fatalf("%q came back as %s", quantity, r.Quantity)
			}
		}
	})
}
