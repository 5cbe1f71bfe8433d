package prices

// wellKnown are the instruments that sim and replay can play and that need no set-up: what a symbol means
// is the same whoever reports its price.
var wellKnown = []Instrument{
	{Symbol: "BTC-USD", Name: "Bitcoin", Kind: KindCrypto, Currency: "USD"},
	{Symbol: "ETH-USD", Name: "Ether", Kind: KindCrypto, Currency: "USD"},
	{Symbol: "SOL-USD", Name: "Solana", Kind: KindCrypto, Currency: "USD"},
	{Symbol: "EUR-USD", Name: "Euro in US dollars", Kind: KindFX, Currency: "USD"},
	{Symbol: "GBP-USD", Name: "Pound sterling in US dollars", Kind: KindFX, Currency: "USD"},
	{Symbol: "USD-JPY", Name: "US dollar in yen", Kind: KindFX, Currency: "JPY"},
	{Symbol: "USD-CHF", Name: "US dollar in Swiss francs", Kind: KindFX, Currency: "CHF"},
	{Symbol: "AAPL", Name: "Apple", Kind: KindEquity, Currency: "USD", MIC: "XNAS", ISIN: "US0378331005"},
	{Symbol: "MSFT", Name: "Microsoft", Kind: KindEquity, Currency: "USD", MIC: "XNAS", ISIN: "US5949181045"},
	{Symbol: "GOOG", Name: "Alphabet C", Kind: KindEquity, Currency: "USD", MIC: "XNAS", ISIN: "US02079K1079"},
	{Symbol: "AMZN", Name: "Amazon.com", Kind: KindEquity, Currency: "USD", MIC: "XNAS", ISIN: "US0231351067"},
	{Symbol: "IBM", Name: "IBM", Kind: KindEquity, Currency: "USD", MIC: "XNYS", ISIN: "US4592001014"},
	{Symbol: "NVDA", Name: "NVIDIA", Kind: KindEquity, Currency: "USD", MIC: "XNAS", ISIN: "US67066G1040"},
	{Symbol: "TSLA", Name: "Tesla", Kind: KindEquity, Currency: "USD", MIC: "XNAS", ISIN: "US88160R1014"},
	{Symbol: "VOO", Name: "Vanguard S&P 500 ETF", Kind: KindETF, Currency: "USD", MIC: "ARCX", ISIN: "US9229083632"},
	{Symbol: "VWCE", Name: "Vanguard FTSE All-World UCITS ETF", Kind: KindETF, Currency: "EUR", MIC: "XETR", ISIN: "IE00BK5BQT80"},
	{Symbol: "SAP", Name: "SAP", Kind: KindEquity, Currency: "EUR", MIC: "XETR", ISIN: "DE0007164600"},
	{Symbol: "VOD", Name: "Vodafone", Kind: KindEquity, Currency: "GBP", MIC: "XLON", ISIN: "GB00BH4HKS39"},
	{Symbol: "SPX", Name: "S&P 500", Kind: KindIndex, Currency: "USD", MIC: "XNYS"},
}

// known is what a symbol stands for; a symbol that is not well known is a share in US dollars until
// somebody says more.
func known(s Symbol) Instrument {
	for _, i := range wellKnown {
		if i.Symbol == s {
			i.Multiplier = one
			return i
		}
	}
	return Instrument{Symbol: s, Name: string(s), Kind: KindEquity, Currency: "USD", Multiplier: one}
}
