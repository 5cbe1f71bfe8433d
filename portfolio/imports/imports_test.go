package imports

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rosetree/portfolio/ledger"
)

// say shows a row in one line: what a person would compare with the file.
func say(r Row) string {
	if r.Bad != "" {
		return "bad"
	}
	if r.Skip != "" {
		return "skip"
	}
	value := ""
	if r.Price.Valid {
		value = "@ " + r.Price.Decimal.String()
	}
	if r.Amount.Valid {
		value += "= " + r.Amount.Decimal.String()
	}
	text := fmt.Sprintf("%s %s %s %s %s %s", r.At.Format(time.DateOnly), r.Type, r.Quantity, r.Symbol, value, r.Currency)
	if !r.Fee.IsZero() {
		text += " fee " + r.Fee.String()
	}
	if !r.Tax.IsZero() {
		text += " tax " + r.Tax.String()
	}
	return strings.Join(strings.Fields(text), " ")
}

// The lines are those of the formats' own samples, as far as they are known.
func TestFormats(t *testing.T) {
	for _, c := range []struct {
		format, text string
		want         []string
	}{
		{"ghostfolio-csv", `Date,Code,DataSource,Currency,Price,Quantity,Action,Fee,Note
01-09-2021,Account Opening Fee,MANUAL,USD,0,0,fee,49,
16-09-2021,MSFT,YAHOO,USD,298.580,5,buy,19.00,My first order 🤓
17/11/2021,MSFT,YAHOO,USD,0.62,5,dividend,0.00,
18/11/2021,MSFT,YAHOO,USD,-0.62,5,dividend,0.00,
01.01.2022,Penthouse Apartment,MANUAL,USD,500000.0,1,item,0.00,
2050-06-06,MSFT,YAHOO,USD,nonsense,0,buy,0.00,`,
			[]string{"2021-09-01 fee 0 USD fee 49", "2021-09-16 buy 5 MSFT @ 298.58 USD fee 19", "2021-11-17 dividend 5 MSFT @ 0.62 USD", "bad", "skip", "bad"}},
		{"ghostfolio-json", `{"meta":{"version":"2"},"accounts":[{"id":"a1","name":"Broker","currency":"EUR"}],"activities":[
{"accountId":"a1","comment":null,"fee":1.5,"quantity":5,"type":"BUY","unitPrice":298.58,"currency":"USD","dataSource":"YAHOO","date":"2021-09-16T00:00:00.000Z","symbol":"MSFT"},
{"fee":0,"quantity":1,"type":"LIABILITY","unitPrice":5,"currency":"USD","date":"2021-09-16T00:00:00.000Z","symbol":"X"}]}`,
			[]string{"2021-09-16 buy 5 MSFT @ 298.58 USD fee 1.5", "skip"}},
		{"ibkr-flex-csv", `"CurrencyPrimary","Symbol","DateTime","TradeDate","TransactionType","Quantity","TradePrice","Buy/Sell","FXRateToBase","AssetClass","ISIN","TradeID","Taxes","IBCommission","IBCommissionCurrency","OrigTradeID","LevelOfDetail"
"USD","VTI","20230403;095853","20230403","ExchTrade","17","204.3473","BUY","0.92","STK","US9229087690","101","0","-0.5","USD","","EXECUTION"
"USD","VTI","20230403;095853","20230403","ExchTrade","17","204.3473","BUY","0.92","STK","US9229087690","","0","-0.5","USD","","ORDER"
"EUR","EUR.USD","20230403;095853","20230403","ExchTrade","-1000","1.09","SELL","1","CASH","","103","0","-2","USD","","EXECUTION"
"USD","AAPL","20230404;100000","20230404","ExchTrade","-3","150","SELL","0.92","STK","US0378331005","104","0","-1","EUR","","EXECUTION"
"USD","AAPL","20230404;100000","20230404","TradeCancel","3","150","SELL (Ca.)","0.92","STK","US0378331005","105","0","1","EUR","104","EXECUTION"`,
			[]string{"2023-04-03 buy 17 VTI @ 204.3473 USD fee 0.5", "skip", "skip", "skip", "skip"}},
		{"trading212", `Action,Time,ISIN,Ticker,Name,No. of shares,Price / share,Currency (Price / share),Exchange rate,Result,Currency (Result),Total,Currency (Total),Withholding tax,Currency (Withholding tax),Notes,ID,Currency conversion fee,Currency (Currency conversion fee)
Market buy,2023-12-18 14:30:03.613,US17275R1023,CSCO,"Cisco Systems",0.0290530000,49.96,USD,1.09303,,"EUR",1.33,"EUR",,,,EOF7504196256,,
Market sell,2023-12-19 14:30:03,GB00BH4HKS39,VOD,"Vodafone",10,68.50,GBX,1,,"GBP",6.85,"GBP",,,,EOF2,,
Deposit,2023-12-11 10:00:00.000,,,,,,,,,,100.00,"EUR",,,"Bank Transfer",D1,,
Stock split close,2024-06-10 07:00:00,US67066G1040,NVDA,"Nvidia",1.5,1200,USD,1,,,0,EUR,,,,S1,,
Stock split open,2024-06-10 07:00:00,US67066G1040,NVDA,"Nvidia",15,120,USD,Not available,,,0,EUR,,,,S2,,
Dividend (Ordinary),2024-06-11 07:00:00,US67066G1040,NVDA,"Nvidia",10,0.01,USD,Not available,,,0.08,EUR,0.01,USD,,V1,,
Dividend adjustment,2024-06-12 07:00:00,US67066G1040,NVDA,"Nvidia",10,0.01,USD,Not available,,,-0.08,EUR,0.01,USD,,V2,,
Market buy,2024-06-13 07:00:00,US67066G1040,NVDA,"Nvidia",-10,120,USD,1,,,1200,EUR,,,,B2,,
Interest on cash,2024-06-14 07:00:00,,,,,,,,,,-0.30,EUR,,,,I1,,
Withdrawal,2024-06-15 07:00:00,,,,,,,,,,7.00,EUR,,,,W1,,
Withdrawal,2024-06-16 07:00:00,,,,,,,,,,-7.00,EUR,,,,W2,,
Deposit,2024-06-17 07:00:00,,,,,,,,,,-5.00,EUR,,,,D2,,`,
			[]string{"2023-12-18 buy 0.029053 CSCO @ 49.96 USD", "2023-12-19 sell 10 VOD @ 0.685 GBP", "2023-12-11 deposit 0 = 100 EUR", "skip", "2024-06-10 stock_dividend 13.5 NVDA USD",
				"2024-06-11 dividend 10 NVDA @ 0.01 USD tax 0.01", "bad", "bad", "2024-06-14 fee 0 = 0.3 EUR", "2024-06-15 withdrawal 0 = 7 EUR", "2024-06-16 withdrawal 0 = 7 EUR", "bad"}},
		{"trading212", `Action,Time,ISIN,Ticker,Name,No. of shares,Price / share,Currency (Price / share),Exchange rate,Total (EUR),Notes,ID
Deposit,2021-12-11 10:00:00,,,,,,,,100.00,Bank Transfer,D1`, // before each amount had a column for its currency
			[]string{"2021-12-11 deposit 0 = 100 EUR"}},
		{"coinbase", `You can use this transaction report to inform your likely tax obligations.

ID,Timestamp,Transaction Type,Asset,Quantity Transacted,Price Currency,Price at Transaction,Subtotal,Total (inclusive of fees and/or spread),Fees and/or Spread,Notes
623d,2022-03-25 06:45:27 UTC,Buy,BTC,0.00166779,EUR,€39999.331136545,€67.01,€70.00,€2.99,Bought 0.00166779 BTC for 70 EUR
623e,2022-04-25 06:45:27 UTC,Staking Income,ETH,0.001,EUR,€2000,€2.00,€2.00,€0.00,
623f,2022-05-25 06:45:27 UTC,Send,BTC,-0.001,EUR,€30000,€30.00,€30.00,€0.00,
6241,2022-06-01 06:45:27 UTC,Staking Income,ETH,-0.001,EUR,€2000,-€2.00,-€2.00,€0.00,
6240,2022-06-25 06:45:27 UTC,Convert,BTC,0.001,EUR,€30000,€30.00,€30.00,€0.00,Converted 0.001 BTC to 0.01 ETH`,
			[]string{"2022-03-25 buy 0.00166779 BTC-EUR = 67.01 EUR fee 2.99", "2022-04-25 reward 0.001 ETH-EUR = 2 EUR", "2022-05-25 transfer_out 0.001 BTC-EUR EUR", "bad", "bad"}},
		{"schwab", `"Transactions  for account ...123 as of 11/02/2023"
"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"
11/01/2023,Reinvest Shares,SPY,SPDR S&P 500 ETF,1.6531,$420.10,,-$694.48
11/01/2023,Reinvest Dividend,SPY,SPDR S&P 500 ETF,,,,$694.48
10/14/2024 as of 10/10/2024,Sell,SPY,SPDR,"1,000",$500.00,$0.05,"$499,999.95"
02/14/2025,Stock Split,NVDA,NVIDIA CORP,40,,,
03/01/2025,Qualified Dividend,NVDA,NVIDIA CORP,,,,-$1.20
03/02/2025,NRA Tax Adj,NVDA,NVIDIA CORP,,,,$0.30
03/03/2025,NRA Tax Adj,NVDA,NVIDIA CORP,,,,-$0.30
03/04/2025,MoneyLink Transfer,,to the bank,,,,-$50.00
Transactions Total,,,,,,,$5.00`,
			[]string{"2023-11-01 buy 1.6531 SPY @ 420.1 USD", "2023-11-01 dividend 0 SPY = 694.48 USD", "2024-10-14 sell 1000 SPY @ 500 USD fee 0.05", "2025-02-14 stock_dividend 40 NVDA USD",
				"bad", "bad", "2025-03-03 tax 0 NVDA = 0.3 USD", "2025-03-04 withdrawal 0 = 50 USD", "skip"}},
		{"revolut-invest", `Date,Ticker,Type,Quantity,Price per share,Total Amount,Currency,FX Rate
2023-09-22T13:30:10.514Z,O,BUY - MARKET,1.63453043,$52.07,$85.11,USD,1.0665
2022-08-25T08:27:46.419568Z,TSLA,STOCK SPLIT,0.16431924,,$0,USD,0.0947
2023-09-25T13:30:10.514Z,,CASH TOP-UP,,,$100,USD,1.06
2023-09-26T13:30:10.514Z,O,DIVIDEND,,,$1.20,USD,1.06
2023-09-27T13:30:10.514Z,O,DIVIDEND,,,-$1.20,USD,1.06
2023-09-28T13:30:10.514Z,,CUSTODY FEE,,,($1.35),USD,1.06
2023-09-29T13:30:10.514Z,,CUSTODY FEE,,,$1.35,USD,1.06
2023-09-30T13:30:10.514Z,,CASH WITHDRAWAL,,,-$50,USD,1.06
2023-10-01T13:30:10.514Z,TSLA,STOCK SPLIT,-0.5,,$0,USD,1.06`,
			[]string{"2023-09-22 buy 1.63453043 O @ 52.07 USD", "2022-08-25 stock_dividend 0.16431924 TSLA USD", "2023-09-25 deposit 0 = 100 USD", "2023-09-26 dividend 0 O = 1.2 USD",
				"bad", "2023-09-28 fee 0 = 1.35 USD", "bad", "2023-09-30 withdrawal 0 = 50 USD", "bad"}},
		{"degiro-account", `Datum,Tijd,Valutadatum,Product,ISIN,Omschrijving,FX,Mutatie,,Saldo,,Order Id
16-12-2022,09:05,15-12-2022,COCA-COLA COMPANY (THE,US1912161007,Dividend,,USD,"0,44",USD,"1,36",
15-12-2022,16:55,15-12-2022,VANGUARD FTSE AW,IE00B3RBWM25,"Koop 3 Vanguard FTSE AW@90,25 EUR (IE00B3RBWM25)",,EUR,"-270,75",EUR,"10,00",abc-1
15-12-2022,16:55,15-12-2022,VANGUARD FTSE AW,IE00B3RBWM25,DEGIRO Transactiekosten en/of kosten van derden,,EUR,"-1,00",EUR,"9,00",abc-1
16-12-2022,09:10,15-12-2022,COCA-COLA COMPANY (THE,US1912161007,Dividend,,USD,"-0,44",USD,"0,92",
16-12-2022,09:10,15-12-2022,COCA-COLA COMPANY (THE,US1912161007,Dividendbelasting,,USD,"0,07",USD,"0,99",
17-12-2022,16:55,17-12-2022,VANGUARD FTSE AW,IE00B3RBWM25,DEGIRO Transactiekosten en/of kosten van derden,,EUR,"1,00",EUR,"10,00",abc-1
18-12-2022,10:00,18-12-2022,,,iDEAL storting,,EUR,"500,00",EUR,"510,00",
19-12-2022,10:00,19-12-2022,,,Terugstorting,,EUR,"-200,00",EUR,"310,00",
20-12-2022,10:00,20-12-2022,,,Debetrente,,EUR,"-0,30",EUR,"309,70",`,
			[]string{"2022-12-16 dividend 0 US1912161007 = 0.44 USD", "2022-12-15 buy 3 IE00B3RBWM25 @ 90.25 EUR fee 1", "skip",
				"bad", "bad", "bad", "2022-12-18 deposit 0 = 500 EUR", "2022-12-19 withdrawal 0 = 200 EUR", "2022-12-20 fee 0 = 0.3 EUR"}},
		{"ibkr-flex-cash", `"CurrencyPrimary","Symbol","ISIN","Description","Type","Amount","SettleDate","TransactionID"
"USD","AAPL","US0378331005","cash dividend","Dividends","2.40","20230405","1"
"USD","AAPL","US0378331005","cash dividend, reversal","Dividends","-2.40","20230406","2"
"USD","","","market data","Other Fees","-1.5","20230407","3"
"USD","","","market data, rebate","Other Fees","1.5","20230408","4"
"USD","","","to the bank","Deposits/Withdrawals","-100","20230409","5"
"USD","","","debit interest","Broker Interest Paid","-3","20230410","6"`,
			[]string{"2023-04-05 dividend 0 AAPL = 2.4 USD", "bad", "2023-04-07 fee 0 = 1.5 USD", "bad", "2023-04-09 withdrawal 0 = 100 USD", "2023-04-10 fee 0 = 3 USD"}},
		{"portfolio-performance-de", `Datum;Typ;Wert;Buchungswährung;Bruttobetrag;Währung Bruttobetrag;Wechselkurs;Gebühren;Steuern;Stück;ISIN;WKN;Ticker-Symbol;Wertpapiername;Notiz
2023-01-05T10:30;Kauf;-1.010,50;EUR;;;;10,50;;10;DE0007164600;716460;SAP.DE;SAP SE;
2023-06-05T00:00;Dividende;14,00;EUR;;;;;6,00;10;DE0007164600;716460;SAP.DE;SAP SE;
2023-06-06T00:00;Dividende;-14,00;EUR;;;;;6,00;10;DE0007164600;716460;SAP.DE;SAP SE;
2023-07-05T00:00;Verkauf;-2,00;EUR;;;;12,00;;1;DE0007164600;716460;SAP.DE;SAP SE;`, // it cost more than it brought
			[]string{"2023-01-05 buy 10 SAP.DE = 1000 EUR fee 10.5", "2023-06-05 dividend 0 SAP.DE = 20 EUR tax 6", "bad", "2023-07-05 sell 1 SAP.DE = 10 EUR fee 12"}},
		{"rosetree-csv", `executed_at,type,symbol,quantity,price,amount,currency,fee,tax
2024-01-02T00:00:00Z,buy,ACME,1,5,,USD,0.10,0
2024-01-02T00:00:00Z,sell,ACME,-1,5,,USD,0.10,0
2024-01-02T00:00:00Z,fee,,,,5,USD,-1,0`,
			[]string{"2024-01-02 buy 1 ACME @ 5 USD fee 0.1", "bad", "bad"}},
	} {
		t.Run(c.format, func(t *testing.T) {
			f, err := Parse("", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if f.Format != c.format {
				t.Errorf("taken for %s", f.Format)
			}
			for i, want := range c.want {
				if i >= len(f.Rows) {
					t.Fatalf("%d rows, want %d", len(f.Rows), len(c.want))
				}
				if got := say(f.Rows[i]); got != want {
					t.Errorf("line %d: %s (%s%s), want %s", f.Rows[i].Line, got, f.Rows[i].Bad, f.Rows[i].Skip, want)
				}
			}
		})
	}
}

func TestWhatIsNoTextIsRefused(t *testing.T) {
	for name, data := range map[string]string{"Latin-1": "Date,Code,Currency,Price,Quantity,Action,Note\n16-09-2021,MSFT,USD,298,5,buy,Geb\xfchr\n", "UTF-16": "D\x00a\x00t\x00e\x00"} {
		if _, err := Parse("", []byte(data)); err == nil || !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A Flex query's rates are into the currency of its account, which only a row in that currency names.
func TestRatesOfAFlexQueryAreIntoItsAccountsCurrency(t *testing.T) {
	head, dollars, euros := "CurrencyPrimary,Symbol,TradeDate,Quantity,TradePrice,Buy/Sell,FXRateToBase,AssetClass\n", "USD,VTI,20230403,17,204.3,BUY,0.92,STK\n", "EUR,SAP,20230403,1,100,BUY,1,STK\n"
	for text, want := range map[string]string{head + dollars + euros: "EUR", head + dollars: ""} {
		f, err := Parse("ibkr-flex-csv", []byte(text))
		if err != nil || f.Rows[0].RateBase != want || !f.Rows[0].Rate.Valid {
			t.Errorf("%q, want %q (%v)", f.Rows[0].RateBase, want, err)
		}
	}
}

func TestNumbersAsPeopleWriteThem(t *testing.T) {
	for in, want := range map[string]string{"1,234.56": "1234.56", "1.234,56": "1234.56", "1 234,56": "1234.56", "1'234.56": "1234.56", "12,5": "12.5", "1,234": "1234", "0,234": "0.234",
		"$1,234.5": "1234.5", "-€5.10": "-5.1", "(3.50)": "-3.5", "5.10 EUR": "5.1", "EUR 5.10": "5.1", "5.10-": "-5.1", "1 234.50 CHF": "1234.5", "": "0", "1.234.567": "1234567", "1,234,567": "1234567", "0.00000001": "0.00000001"} {
		d, err := parseNumber(in)
		if err != nil || d.String() != want {
			t.Errorf("%q: %s, %v, want %s", in, d, err, want)
		}
	}
	for _, in := range []string{"abc", "1e9", "1E9", "1.23E-05", "10-20", "2024-01-02", "5 EUR 3", "..", "12.34.5x", strings.Repeat("9", 60)} {
		if d, err := parseNumber(in); err == nil {
			t.Errorf("%q was read as %s", in, d)
		}
	}
}

func TestEqualFillsStayTwoAndAFileReadTwiceIsTheSame(t *testing.T) {
	text := "Date,Code,DataSource,Currency,Price,Quantity,Action,Fee,Note\n" + strings.Repeat("16-09-2021,MSFT,YAHOO,USD,298.580,5,buy,19.00,\n", 2)
	a, _ := Parse("", []byte(text))
	b, _ := Parse("", []byte(text))
	if a.Rows[0].Key == a.Rows[1].Key || a.Rows[0].Key != b.Rows[0].Key || a.Rows[1].Key != b.Rows[1].Key {
		t.Error(a.Rows[0].Key, a.Rows[1].Key, b.Rows[0].Key, b.Rows[1].Key)
	}
}

func TestAMappedFile(t *testing.T) {
	m := Mapping{Columns: map[string]string{"executed_at": "Buchung", "type": "Art", "symbol": "Papier", "quantity": "Anzahl", "amount": "Summe"},
		Types: map[string]ledger.Type{"kauf": ledger.Buy}, Currency: "EUR", DayFirst: true}
	f, err := ParseMapped("bank", m, []byte("Buchung;Art;Papier;Anzahl;Summe\n03/04/2024;Kauf;SAP;3;-300,00\n"))
	if err != nil || say(f.Rows[0]) != "2024-04-03 buy 3 SAP = 300 EUR" {
		t.Error(f, err)
	}
	if _, err := ParseMapped("bank", Mapping{Columns: map[string]string{"tyop": "x"}}, nil); err == nil {
		t.Error("a field that is none")
	}
	if _, err := Parse("", []byte("a,b,c\n1,2,3\n")); err == nil || !strings.Contains(err.Error(), "map its columns") {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("Date,Code,Currency,Price,Quantity,Action\n16-09-2021,MSFT,USD,298.580,5,buy\n"))
	f.Add([]byte("Datum,Tijd,Product,ISIN,Omschrijving,FX,Mutatie,,Order Id\n16-12-2022,09:05,X,US1,Koop 3 X@1 EUR,,EUR,\"0,44\",a\n"))
	f.Add([]byte(`{"activities":[{"type":"BUY","quantity":1e3,"unitPrice":2}]}`))
	f.Add([]byte("Action,Time,Ticker,No. of shares,Price / share\nStock split close,2024-06-10,X,1,2\nStock split open,2024-06-10,X,3,4\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range append(Formats(), "") {
			file, err := Parse(name, data)
			if err != nil {
				continue
			}
			keys := map[string]bool{}
			for _, r := range file.Rows {
				if r.Quantity.IsNegative() || r.Fee.IsNegative() || r.Tax.IsNegative() || r.Amount.Decimal.IsNegative() || r.Price.Decimal.IsNegative() {
					t.Fatalf("%s: a negative number in %+v", name, r)
				}
				if keys[r.Key] {
					t.Fatalf("%s: the key %s twice", name, r.Key)
				}
				keys[r.Key] = true
			}
		}
	})
}
