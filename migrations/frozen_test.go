package migrations_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// released are the files that databases outside have applied. A change to one would be applied to some and not to others: what is to
// be different goes into a new file.
var released = map[string]string{
	"001_enable_rls.sql":        "326e100ad9b51cf7457fbb8abb2778fe3cfa544491f7bc5f497fc734c4914310",
	"002_portfolio_sharing.sql": "d92ecff5c574b080819119b01c3c339ad7f7cc5d85eb039713ff5f5833f83bbb",
	"003_candles.sql":           "d26377f6280c6be22ca61eea91689ee011297053f9c4491ce5003026b0bccc39",
}

func TestAReleasedMigrationNeverChanges(t *testing.T) {
	for name, want := range released {
		sum := sha256.Sum256([]byte(file(t, name)))
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s has the hash %s, it was released with %s: put the change into a new file", name, got, want)
		}
	}
}
