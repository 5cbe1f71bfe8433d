package migrations_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// released are the files that databases outside have applied. A change to one would be applied to some and not to others: what is to
// be different goes into a new file.
var released = map[string]string{
	"001_enable_rls.sql":             "326e100ad9b51cf7457fbb8abb2778fe3cfa544491f7bc5f497fc734c4914310",
	"002_portfolio_sharing.sql":      "d92ecff5c574b080819119b01c3c339ad7f7cc5d85eb039713ff5f5833f83bbb",
	"003_candles.sql":                "d26377f6280c6be22ca61eea91689ee011297053f9c4491ce5003026b0bccc39",
	"005_prices.sql":                 "8c243f2b3026969788593fcc3637d1bc7aac65381cbe51fb2664ddb3a8bf6f71",
	"007_identity_context.sql":       "d3ffe03307f2247154d337610386e8a31a245afc9c403f14aeb2742ea33757f5",
	"008_cohort_lists.sql":           "248bf4f127a030d1387c5e4a9fd87619f20722d22a8f06947fc67232ecada672",
	"009_legacy_passwords.sql":       "cca8db8e79ff45fb4437b46ce49dd02c745a32ae05b9d5e9b848f809c508034d",
	"010_socket_receipts.sql":        "a33c3514c669e879c9115d202b19d23fa7e1b63150439ec6804c12886e1e9a4e",
	"011_sealed_webhook_secrets.sql": "722d7831a7283b21c59374226c0525667f26adf11851b429f0bff9ef0fd971e4",
}

func TestAReleasedMigrationNeverChanges(t *testing.T) {
	for name, want := range released {
		sum := sha256.Sum256([]byte(file(t, name)))
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s has the hash %s, it was released with %s: put the change into a new file", name, got, want)
		}
	}
}
