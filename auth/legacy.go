package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const (
	maxJWT       = 8 << 10 // longer ones are refused before they are parsed
	jwtLeeway    = 30 * time.Second
	legacyToken  = time.Hour // of the legacy tokens that we sign; refresh renews them
	legacyIssuer = "rosetree"
	legacyAud    = "authenticated" // what a Supabase client's token carries
)

// legacyTokens verifies, and where it has the secret signs, the tokens of the program that came before. A token's header never
// chooses how it is verified: the algorithm belongs to the key, and the key to our settings; kid is only an index.
type legacyTokens struct {
	secret   []byte // HS256; nil where there is only a JWKS
	keys     *jwks  // nil where there is only a secret
	issuer   string // "" is not compared
	audience string
	parser   *jwt.Parser
}

// legacyClaims are a Supabase access token's.
type legacyClaims struct {
	jwt.RegisteredClaims
	SessionID   string         `json:"session_id,omitempty"`
	SID         string         `json:"sid,omitempty"`
	Email       string         `json:"email,omitempty"`
	Role        string         `json:"role,omitempty"` // the database role: authenticated, anon, service_role
	AppMetadata legacyMetadata `json:"app_metadata"`
	Metadata    legacyMetadata `json:"user_metadata"`
	AMR         []legacyAMR    `json:"amr,omitempty"`
	IssuedMS    int64          `json:"iat_ms,omitempty"` // ours alone: a log-in in the second of a revocation must count as later
}

// legacyMetadata is what we read of app_metadata (written by the issuer alone) and user_metadata (written by the user).
type legacyMetadata struct {
	Role string `json:"role,omitempty"`
	Name string `json:"name,omitempty"`
}

type legacyAMR struct {
	Method    string `json:"method"`
	Timestamp int64  `json:"timestamp"`
}

var errLegacyToken = errors.New("auth: not a valid legacy token")

func newLegacyTokens(c Config, clock *clock, derived []byte, store jwksStore, log *slog.Logger) *legacyTokens {
	l := &legacyTokens{issuer: c.LegacyJWTIssuer, audience: c.LegacyJWTAudience}
	methods := []string{"HS256"}
	switch {
	case c.LegacyJWTSecret != "":
		l.secret = []byte(c.LegacyJWTSecret)
	case c.LegacyJWKSURL == "":
		l.secret = derived
	default:
		methods = nil
	}
	if c.LegacyJWKSURL != "" {
		l.keys = newJWKS(c.LegacyJWKSURL, store, log)
		methods = append(methods, "RS256", "ES256", "EdDSA")
	}
	options := []jwt.ParserOption{jwt.WithValidMethods(methods), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(jwtLeeway), jwt.WithStrictDecoding(), jwt.WithTimeFunc(clock.now)}
	if l.issuer != "" {
		options = append(options, jwt.WithIssuer(l.issuer))
	}
	if l.audience != "" {
		options = append(options, jwt.WithAudience(l.audience))
	}
	l.parser = jwt.NewParser(options...)
	return l
}

// canSign says whether this server can issue legacy tokens.
func (l *legacyTokens) canSign() bool { return l.secret != nil }

// verify checks everything that can be known from the token itself.
func (l *legacyTokens) verify(ctx context.Context, raw string) (legacyClaims, error) {
	var c legacyClaims
	if len(raw) > maxJWT {
		return c, errLegacyToken
	}
	t, err := l.parser.ParseWithClaims(raw, &c, func(t *jwt.Token) (any, error) { return l.key(ctx, t) })
	if err != nil {
		if unavailable, ok := errors.AsType[*jwksError](err); ok {
			return c, unavailable
		}
		return c, fmt.Errorf("%w: %w", errLegacyToken, err)
	}
	return c, c.check(t)
}

func (l *legacyTokens) key(ctx context.Context, t *jwt.Token) (any, error) {
	if t.Method == jwt.SigningMethodHS256 {
		return l.secret, nil
	}
	kid, _ := t.Header["kid"].(string)
	return l.keys.key(ctx, kid, t.Method.Alg())
}

// check refuses what is signed correctly and is still no access token of a person.
func (c legacyClaims) check(t *jwt.Token) error {
	if typ, ok := t.Header["typ"].(string); ok && !strings.EqualFold(typ, "JWT") {
		return fmt.Errorf("%w: typ %q", errLegacyToken, typ)
	}
	if id, err := uuid.Parse(c.Subject); err != nil || id.String() != c.Subject {
		return fmt.Errorf("%w: sub is not a UUID", errLegacyToken)
	}
	if c.IssuedAt == nil {
		return fmt.Errorf("%w: no iat", errLegacyToken)
	}
	if c.Role != "" && c.Role != "authenticated" {
		return fmt.Errorf("%w: role %q", errLegacyToken, c.Role)
	}
	return nil
}

// legacyIDAlphabet bounds what an issuer's ids may bring into keys, lists and logs.
const legacyIDAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-"

// session is what a revocation names the token by: claims, never a hash of the token, because one signature can be written in
// several ways. Without an id of its own it is named by whose it is and when it was made.
func (c legacyClaims) session() SessionID {
	for _, id := range []string{c.SessionID, c.SID, c.ID} {
		if id != "" && len(id) <= 64 && strings.Trim(id, legacyIDAlphabet) == "" {
			return SessionID(id)
		}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", c.Subject, c.IssuedAt.Unix()))
	return SessionID("iat-" + base64.RawURLEncoding.EncodeToString(sum[:12]))
}

func (c legacyClaims) authAt() time.Time {
	for _, m := range c.AMR {
		if m.Timestamp > 0 {
			return time.Unix(m.Timestamp, 0)
		}
	}
	return c.IssuedAt.Time
}

func (c legacyClaims) issuedAt() time.Time {
	if ms := time.UnixMilli(c.IssuedMS); ms.Truncate(time.Second).Equal(c.IssuedAt.Time) {
		return ms
	}
	return c.IssuedAt.Time
}

func (c legacyClaims) principal(role Role) Principal {
	return Principal{User: UserID(c.Subject), Role: role, Session: c.session(), Via: ViaLegacy,
		IssuedAt: c.issuedAt(), AuthAt: c.authAt(), Expires: c.ExpiresAt.Time}
}

// sign makes a token that the program before this one accepts. It ends at ends at the latest.
func (l *legacyTokens) sign(u User, session SessionID, now, authAt, ends time.Time) (string, time.Time, error) {
	exp := now.Add(legacyToken)
	if ends.Before(exp) {
		exp = ends
	}
	c := legacyClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: orElse(l.issuer, legacyIssuer), Audience: jwt.ClaimStrings{orElse(l.audience, legacyAud)}, Subject: string(u.ID),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(exp),
		},
		SessionID: string(session), Email: u.Email, Role: "authenticated",
		AppMetadata: legacyMetadata{Role: string(u.Role)}, Metadata: legacyMetadata{Name: u.DisplayName},
		AMR: []legacyAMR{{"password", authAt.Unix()}}, IssuedMS: now.UnixMilli(),
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(l.secret)
	return signed, exp, err
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
