package devstack

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
)

// outside is where the servers' data of a root's demo lies when its own folder cannot be entered.
const outside = "/var/lib/rosetree"

// outsidePlace is the place of the folder dir. Places whose folder was deleted are removed on the way:
// nobody who deletes a folder knows of the other.
func outsidePlace(dir string) string {
	found, _ := filepath.Glob(filepath.Join(outside, "*", "folder")) // only a malformed pattern is an error
	for _, note := range found {
		of, err := os.Readlink(note)
		if _, gone := os.Lstat(filepath.Join(of, "servers")); err == nil && os.IsNotExist(gone) {
			os.RemoveAll(filepath.Dir(note)) // what cannot be removed stays, and does no harm
		}
	}
	name := sha256.Sum256([]byte(dir))
	return filepath.Join(outside, hex.EncodeToString(name[:6]))
}
