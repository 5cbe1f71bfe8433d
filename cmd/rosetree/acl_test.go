package main

import (
	"context"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"rosetree/auth"
)

// What `rosetree check` prints for a login without permissions is applied word for word, and then two servers live on it:
// whatever they were refused would stand in Redis' own list of refusals. The login may not use CONFIG either, as with
// managed services.
func TestTheACLThatCheckPrintsIsAllThatTwoServersNeed(t *testing.T) {
	p := startProcesses(t, 0, "NEW_AUTH_ENABLED=true", "NEW_AUTH_PERCENTAGE=100", "LEGACY_JWT_SECRET=0123456789abcdef0123456789abcdef", "PRICE_FEEDS=sim?rate=20,ingest")
	ctx := t.Context()
	p.must(p.redis.Do(ctx, "ACL", "SETUSER", "rosetree", "on", ">x", "-@all", "+ping", "+hello", "+auth", "+client").Err())
	p.login("rosetree", "x")
	rules := strings.Fields(printedACL(t, check(ctx, p.env)))
	if len(rules) == 0 {
		t.Fatal("check prints no instruction for a login without permissions")
	}
	args := []any{"ACL", "SETUSER", "rosetree", "reset"}
	for _, rule := range rules {
		args = append(args, strings.Replace(rule, ">PASSWORD", ">x", 1))
	}
	p.must(p.redis.Do(ctx, args...).Err())
	for _, f := range check(ctx, p.env) {
		if f.Status != auth.StatusOK && strings.HasPrefix(f.What, "Redis") {
			t.Errorf("with the login that check asked for: %+v", f)
		}
	}
	p.must(p.redis.Do(ctx, "ACL", "LOG", "RESET").Err())
	defer func() {
		refused, _ := p.redis.Do(context.Background(), "ACL", "LOG").Slice()
		for _, line := range refused {
			entry, _ := line.(map[any]any)
			t.Errorf("refused: %v %v, at %v", entry["reason"], entry["object"], entry["context"])
		}
	}()
	p.add(2)
	p.liveOn()
}

func (p *processes) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// login has the servers to come use another login of Redis.
func (p *processes) login(user, password string) {
	u, err := url.Parse(p.redisURL)
	p.must(err)
	u.User = url.UserPassword(user, password)
	p.env = append(p.env, "REDIS_URL="+u.String())
}

// printedACL is what follows ACL SETUSER NAME in a finding's instruction.
func printedACL(t *testing.T, found []auth.Finding) string {
	t.Helper()
	for _, f := range found {
		if _, rules, ok := strings.Cut(f.Do, "ACL SETUSER rosetree "); ok {
			return rules
		}
	}
	return ""
}

// liveOn does what people and their programs do, on both servers.
func (p *processes) liveOn() {
	one, two := p.servers[0], p.servers[1]
	ana := one.register("ana@example.com")
	portfolio := ana.portfolio()
	phone := (&person{house: two, token: ana.token}).socket()
	phone.typed("welcome")
	phone.send(`{"id":1,"type":"subscribe","channel":"prices","symbols":["AAPL"]}`)
	phone.typed("prices")
	phone.send(`{"id":2,"type":"subscribe","channel":"portfolio","portfolio":%q}`, portfolio)
	phone.until("the portfolio", func(m message) bool { return m.Type == "portfolio" && m.Snapshot })
	ana.buy(portfolio, "AAPL", "3")
	phone.until("the change", func(m message) bool { return m.Type == "portfolio" && !m.Snapshot })
	ana.call("POST", "/api/auth/ticket", map[string]any{}, 200, nil)
	ana.call("POST", "/api/auth/refresh", map[string]any{}, 200, nil)
	ana.call("PATCH", "/api/auth/sessions/"+ana.session, map[string]any{"name": "phone"}, 200, nil)
	two.send("POST", "/api/auth/login", "", map[string]any{"email": "ana@example.com", "password": "a wrong guess"})
	two.send("GET", "/api/auth/sessions", "rt1."+ana.session+"."+strings.Repeat("A", 43), nil)
	p.command("user", "promote", "ana@example.com")
	admin := one.login("ana@example.com")
	bob := two.register("bob@example.com")
	laptop := bob.socket()
	laptop.typed("welcome")
	admin.call("GET", "/api/admin/sessions", nil, 200, nil)
	admin.call("DELETE", "/api/admin/sessions/"+bob.session, map[string]any{"reason": "a test"}, 200, nil)
	if code := laptop.closed(); code != 4500 {
		p.t.Errorf("closed with %d", code)
	}
	two.login("bob@example.com")
	admin.call("DELETE", "/api/admin/users/"+bob.id+"/sessions", map[string]any{"reason": "a test"}, 200, nil)
	admin.call("POST", "/api/prices", map[string]any{"updates": []map[string]any{{"s": "AAPL", "p": "190", "t": time.Now().UnixMilli()}}}, 200, nil)
	p.command("sessions", "revoke", "--all", "--confirm", "all", "--reason", "a test")
	p.command("sessions", "restore")
	p.command("sessions", "list")
}

// command runs one of the program's commands as the operator would.
func (p *processes) command(args ...string) {
	p.t.Helper()
	cmd := exec.Command(p.bin, args...)
	cmd.Env = p.env
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("rosetree %v: %v %s", args, err, out)
	}
}
