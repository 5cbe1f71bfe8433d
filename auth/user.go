package auth

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rosetree/internal/api"
)

// User is an account.
type User struct {
	ID           UserID    `json:"id"`
	Email        string    `json:"email"`
	DisplayName  string    `json:"display_name"`
	Role         Role      `json:"role"`
	Status       string    `json:"status"` // active or disabled
	BaseCurrency string    `json:"base_currency"`
	CreatedAt    time.Time `json:"created_at"`
}

// NewUser is an account to be.
type NewUser struct {
	Email        string
	Password     string
	DisplayName  string
	Role         Role   // RoleUser where empty
	BaseCurrency string // USD where empty
	First        bool   // only where there is no administrator yet
}

const userColumns = `u.id::text, u.email, u.display_name, u.role, u.status, u.base_currency, u.created_at`

func scanUser(row pgx.Row, more ...any) (User, error) {
	var u User
	err := row.Scan(append([]any{&u.ID, &u.Email, &u.DisplayName, &u.Role, &u.Status, &u.BaseCurrency, &u.CreatedAt}, more...)...)
	return u, err
}

var errEmailTaken = api.Conflict("an account with this e-mail address exists; log in instead")

// checkEmail accepts what mail can be sent to, and returns it without the spaces around it.
func checkEmail(field, email string) (string, error) {
	email = strings.TrimSpace(email)
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || len(email) > 254 {
		return "", api.Invalid(field, "must be an e-mail address")
	}
	return email, nil
}

// emailKey is how addresses are compared.
func emailKey(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

func checkText(field, s string, most int) error {
	if utf8.RuneCountInString(s) > most || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return api.Invalid(field, "must be text of at most %d characters", most)
	}
	return nil
}

// AddUser makes an account and writes who made it into the audit log. It is for commands; registration adds throttles and a log-in.
func (a *Auth) AddUser(ctx context.Context, n NewUser, actor string) (User, error) {
	email, err := checkEmail("email", n.Email)
	if err != nil {
		return User{}, err
	}
	n.Email = email
	if err := checkNewPassword("password", n.Password, n.Email); err != nil {
		return User{}, err
	}
	if err := checkText("display_name", n.DisplayName, 100); err != nil {
		return User{}, err
	}
	hash, err := a.hashes.hash(ctx, false, n.Password)
	if err != nil {
		return User{}, err
	}
	return a.insertUser(ctx, n, hash, AuditEntry{Actor: actor, Action: "user.add"})
}

const insertUser = `INSERT INTO app.users AS u (id, email, display_name, role, base_currency) VALUES ($1, $2, $3, $4, $5) RETURNING ` + userColumns

const insertFirst = `INSERT INTO app.users AS u (id, email, display_name, role, base_currency) SELECT $1::uuid, $2::text, $3::text, $4::text, $5::text WHERE ` + noAdmin + ` RETURNING ` + userColumns

func (a *Auth) insertUser(ctx context.Context, n NewUser, hash string, why AuditEntry) (User, error) {
	id := newID()
	role, currency := n.Role, n.BaseCurrency
	if role == "" {
		role = RoleUser
	}
	if currency == "" {
		currency = "USD"
	}
	insert := insertUser
	var u User
	var b pgx.Batch
	if n.First {
		b.Queue(lockBootstrap)
		insert = insertFirst
	}
	b.Queue(insert, id, n.Email, n.DisplayName, role, currency).QueryRow(func(row pgx.Row) (err error) {
		u, err = scanUser(row)
		return err
	})
	b.Queue(`INSERT INTO app.credentials (user_id, email_key, password_hash) VALUES ($1, $2, $3)`, id, emailKey(n.Email), hash)
	why.Subject, why.Outcome = id, "ok"
	if why.Actor == "" {
		why.Actor = id
	}
	why.Queue(&b)
	if err := a.rows.Do(ctx, &b); err != nil {
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "23505" {
			return User{}, errEmailTaken
		}
		if pg, ok := errors.AsType[*pgconn.PgError](err); n.First && (errors.Is(err, pgx.ErrNoRows) || ok && pg.Code == "23503") {
			return User{}, errBootstrap // somebody else was the first meanwhile
		}
		return User{}, fmt.Errorf("auth: add user: %w", err)
	}
	return u, nil
}

// errNoUser: no account has this id or address.
var errNoUser = api.NotFound("user")

// User reads an account.
func (a *Auth) User(ctx context.Context, id UserID) (User, error) {
	return a.userBy(ctx, selectUser, string(id))
}

// UserByEmail finds an account for commands and seeds.
func (a *Auth) UserByEmail(ctx context.Context, email string) (User, error) {
	return a.userBy(ctx, `SELECT `+userColumns+` FROM app.users u JOIN app.credentials c ON c.user_id = u.id WHERE c.email_key = $1`, emailKey(email))
}

func (a *Auth) userBy(ctx context.Context, sql string, arg any) (User, error) {
	u, err := User{}, error(errNoUser)
	var b pgx.Batch
	b.Queue(sql, arg).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if u, err = scanUser(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if doErr := a.rows.Do(ctx, &b); doErr != nil {
		return User{}, fmt.Errorf("auth: read user: %w", doErr)
	}
	return u, err
}

// Users lists accounts in the order in which they were made.
func (a *Auth) Users(ctx context.Context) (all []User, err error) {
	var b pgx.Batch
	b.Queue(`SELECT ` + userColumns + ` FROM app.users u ORDER BY u.created_at, u.id`).Query(func(rows pgx.Rows) (err error) {
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (User, error) { return scanUser(row) })
		return err
	})
	return all, a.rows.Do(ctx, &b)
}

// cleanText is s without what PostgreSQL cannot store and what would break a line of a log.
func cleanText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }
