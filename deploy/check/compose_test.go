package check

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// project is compose.yaml as docker compose reads it, with every variable of .env.example filled in.
func project(t *testing.T) *types.Project {
	t.Helper()
	example, err := os.ReadFile("../compose/.env.example")
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(example), -1) {
		value := m[2]
		if value == "" {
			value = "filled-in"
		}
		env = append(env, m[1]+"="+value)
	}
	o, err := cli.NewProjectOptions([]string{"../compose/compose.yaml"}, cli.WithEnv(env), cli.WithInterpolation(true), cli.WithResolvedPaths(false))
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestComposeIsValidAndSafe(t *testing.T) {
	p := project(t)
	for _, name := range []string{"rosetree", "migrate"} {
		s := p.Services[name]
		if !s.ReadOnly || len(s.CapDrop) != 1 || s.CapDrop[0] != "ALL" {
			t.Errorf("%s: its root must be read-only and without capabilities", name)
		}
	}
	if s := p.Services["rosetree"]; s.Scale == nil || *s.Scale != 3 {
		t.Error("rosetree: three servers")
	}
	for name, s := range p.Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to the network", name, port.Published)
			}
		}
	}
	redis := strings.Join(p.Services["redis"].Command, " ")
	for _, setting := range []string{"--notify-keyspace-events Kgxe", "--appendonly yes", "--maxmemory-policy noeviction"} {
		if !strings.Contains(redis, setting) {
			t.Errorf("redis: %s is missing", setting)
		}
	}
}

// TestComposeSetsOnlySettingsThatExist: a misspelt one would stop the server.
func TestComposeSetsOnlySettingsThatExist(t *testing.T) {
	known := settings(t)
	p := project(t)
	for _, name := range []string{"rosetree", "migrate"} {
		for variable := range p.Services[name].Environment {
			if !known[variable] {
				t.Errorf("%s: %s is no setting", name, variable)
			}
		}
	}
}

// settings are those of docs/configure.md, which the program prints.
func settings(t *testing.T) map[string]bool {
	t.Helper()
	page, err := os.ReadFile("../../docs/configure.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"MIGRATE_DATABASE_URL": true, "GOMEMLIMIT": true}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` ").FindAllStringSubmatch(string(page), -1) {
		known[m[1]] = true
	}
	return known
}
