package auth

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Config is what an operator sets. The zero value is a server with the legacy path alone; New fills in the defaults.
type Config struct {
	NewAuthEnabled    bool    `env:"NEW_AUTH_ENABLED" envDefault:"false" doc:"session authentication is offered"`
	NewAuthPercentage float64 `env:"NEW_AUTH_PERCENTAGE" envDefault:"0" doc:"share of users in per cent, by a stable hash of the user id, whose log-ins get a session"`
	RollbackMode      bool    `env:"ROLLBACK_MODE" envDefault:"false" doc:"everything new goes to the legacy path; what users hold keeps working"`
	SecurityLockdown  bool    `env:"SECURITY_LOCKDOWN" envDefault:"false" doc:"only admins may act; everyone else's sockets close and requests get locked_down"`
	LegacyAuthEnabled bool    `env:"LEGACY_AUTH_ENABLED" envDefault:"true" doc:"false ends the migration: the legacy path is gone"`

	LegacyJWTSecret   Secret `env:"LEGACY_JWT_SECRET" secret:"true" doc:"verifies and signs legacy tokens (HS256), at least 32 bytes; derived from SECRET_KEY where neither it nor LEGACY_JWKS_URL is set"`
	LegacyJWKSURL     string `env:"LEGACY_JWKS_URL" doc:"where the issuer of legacy tokens publishes its keys (RS256, ES256, EdDSA)"`
	LegacyJWTIssuer   string `env:"LEGACY_JWT_ISSUER" doc:"iss of legacy tokens, exact; not compared where it is not set"`
	LegacyJWTAudience string `env:"LEGACY_JWT_AUDIENCE" doc:"aud of legacy tokens, exact; not compared where it is not set"`

	SessionIdleTTL     time.Duration `env:"SESSION_IDLE_TTL" envDefault:"24h" doc:"a session ends when it was not used for so long"`
	SessionAbsoluteTTL time.Duration `env:"SESSION_ABSOLUTE_TTL" envDefault:"720h" doc:"a session ends so long after its log-in"`
	SessionsPerUser    int           `env:"SESSIONS_PER_USER" envDefault:"20" doc:"the oldest session gives way to one more"`
	MaxBlind           time.Duration `env:"MAX_BLIND" envDefault:"30s" doc:"how long sockets stay while neither Redis nor PostgreSQL can be heard; 0 closes at once"`

	AllowedOrigins []string `env:"ALLOWED_ORIGINS" doc:"browsers' origins that may open a socket, comma list of scheme://host[:port]; the server's own always may"`
	TrustedProxies []string `env:"TRUSTED_PROXIES" doc:"addresses or prefixes of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed"`
	Registration   string   `env:"REGISTRATION" envDefault:"open" doc:"open or closed"`
}

func (c Config) withDefaults() Config {
	if c.SessionIdleTTL == 0 {
		c.SessionIdleTTL = 24 * time.Hour
	}
	if c.SessionAbsoluteTTL == 0 {
		c.SessionAbsoluteTTL = 720 * time.Hour
	}
	if c.SessionsPerUser == 0 {
		c.SessionsPerUser = 20
	}
	if c.Registration == "" {
		c.Registration = "open"
	}
	return c
}

// Validate names every value that cannot be meant.
func (c Config) Validate() []error {
	var wrong []error
	bad := func(name string, holds any, expected string) {
		wrong = append(wrong, fmt.Errorf("%s holds %v, expected %s", name, holds, expected))
	}
	if !(c.NewAuthPercentage >= 0 && c.NewAuthPercentage <= 100) {
		bad("NEW_AUTH_PERCENTAGE", c.NewAuthPercentage, "a number from 0 to 100")
	}
	if c.LegacyJWTSecret != "" && weakSecret(string(c.LegacyJWTSecret)) {
		bad("LEGACY_JWT_SECRET", "[secret]", "at least 32 bytes, and no published example")
	}
	if u, err := url.Parse(c.LegacyJWKSURL); c.LegacyJWKSURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		bad("LEGACY_JWKS_URL", fmt.Sprintf("%q", c.LegacyJWKSURL), "an http or https address")
	}
	for name, d := range map[string]time.Duration{"SESSION_IDLE_TTL": c.SessionIdleTTL, "SESSION_ABSOLUTE_TTL": c.SessionAbsoluteTTL} {
		if d < 0 || d > 0 && d < time.Second || d > 10*365*24*time.Hour {
			bad(name, d, "a duration from 1s to ten years")
		}
	}
	if c.MaxBlind < 0 {
		bad("MAX_BLIND", c.MaxBlind, "a duration of 0 or more")
	}
	if c.SessionsPerUser < 0 || c.SessionsPerUser > 1000 {
		bad("SESSIONS_PER_USER", c.SessionsPerUser, "a number from 1 to 1000")
	}
	for _, o := range c.AllowedOrigins {
		if _, err := parseOrigin(o); err != nil {
			bad("ALLOWED_ORIGINS", fmt.Sprintf("%q", o), "scheme://host[:port] without a path")
		}
	}
	if _, err := parseProxies(c.TrustedProxies); err != nil {
		bad("TRUSTED_PROXIES", fmt.Sprintf("%q", strings.Join(c.TrustedProxies, ",")), "addresses or prefixes such as 10.0.0.0/8")
	}
	if c.Registration != "" && c.Registration != "open" && c.Registration != "closed" {
		bad("REGISTRATION", fmt.Sprintf("%q", c.Registration), "open or closed")
	}
	return wrong
}

// weakSecret knows short keys and the one that every Supabase example uses.
func weakSecret(s string) bool {
	return len(s) < 32 || strings.HasPrefix(s, "super-secret-jwt-token-with-at-least-32-characters") || strings.Count(s, s[:1]) == len(s)
}

// parseOrigin normalises scheme://host[:port] as browsers write it: lower case, no default port.
func parseOrigin(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("auth: %q is not an origin", s)
	}
	return originOf(u.Scheme, u.Host), nil
}

func originOf(scheme, host string) string {
	host = strings.ToLower(host)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + host
}

func parseProxies(list []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return nil, err
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		all = append(all, p.Masked())
	}
	return all, nil
}
