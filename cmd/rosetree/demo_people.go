package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rosetree/auth"
)

// demoPerson is somebody who can log in to a demo.
type demoPerson struct {
	Email    string    `json:"email"`
	Password string    `json:"password"`
	Role     auth.Role `json:"role"`
}

// demoCast is who there is: three users and one administrator.
var demoCast = []auth.NewUser{
	{Email: "ana@example.com", DisplayName: "Ana", BaseCurrency: "USD", Role: auth.RoleUser},
	{Email: "ben@example.com", DisplayName: "Ben", BaseCurrency: "EUR", Role: auth.RoleUser},
	{Email: "chloe@example.com", DisplayName: "Chloe", BaseCurrency: "USD", Role: auth.RoleUser},
	{Email: "admin@example.com", DisplayName: "Admin", BaseCurrency: "USD", Role: auth.RoleAdmin},
}

// demoLogins is the file that remembers the log-ins, beside the data that they open.
type demoLogins struct {
	path   string
	People []demoPerson `json:"people"`
	Seeded bool         `json:"seeded"` // all people and portfolios are there
}

// readLogins reads the log-ins of folder, or makes them. They are random: with --listen a demo can be
// reached by others, who may know this source.
func readLogins(folder string) (*demoLogins, error) {
	l := &demoLogins{path: filepath.Join(folder, "people.json")}
	raw, err := os.ReadFile(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		for _, c := range demoCast {
			l.People = append(l.People, demoPerson{Email: c.Email, Password: demoPassword(), Role: c.Role})
		}
		return l, l.save()
	case err != nil:
		return nil, fmt.Errorf("the demo's log-ins: %w", err)
	}
	if err := json.Unmarshal(raw, l); err != nil || len(l.People) != len(demoCast) {
		return nil, fmt.Errorf("%s is damaged: start again with --fresh", l.path)
	}
	return l, nil
}

// demoPassword is short enough to type: 60 random bits.
func demoPassword() string {
	text := strings.ToLower(rand.Text())
	return text[:4] + "-" + text[4:8] + "-" + text[8:12]
}

func (l *demoLogins) save() error {
	raw, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.path+".new", append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("the demo's log-ins: %w", err)
	}
	return os.Rename(l.path+".new", l.path)
}
