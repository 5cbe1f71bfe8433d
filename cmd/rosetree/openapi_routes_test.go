package main

import (
	"net/http"
	"reflect"
	"time"

	"rosetree/auth"
	"rosetree/hub"
	"rosetree/portfolio"
)

// What the document says beyond the operations' own types.

var head = object{
	{"openapi", "3.1.0"},
	{"info", object{{"title", "Rosetree"}, {"version", "v1"}, {"license", object{{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}},
		{"description", "Portfolios, prices, sessions. The same operations are on the socket (asyncapi.yaml), by their operationId. " +
			"Money, prices and quantities are decimal strings; what is not known is null. Unknown fields in a request are an error."}}},
	{"servers", []any{object{{"url", "/"}}}},
	{"security", []any{object{{"cookie", []any{}}}, object{{"bearer", []any{}}}}},
}

var securitySchemes = object{
	{"cookie", object{{"type", "apiKey"}, {"in", "cookie"}, {"name", "__Host-rosetree"}, {"description", "Plain rosetree on an http loopback origin. Unsafe methods are refused across origins."}}},
	{"bearer", object{{"type", "http"}, {"scheme", "bearer"}, {"description", "A session token, a legacy token, or the fallback token."}}},
}

var problemSchema = object{{"type", "object"}, {"required", []any{"status", "code", "detail"}}, {"properties", object{
	{"type", object{{"type", "string"}}}, {"title", object{{"type", "string"}}}, {"status", object{{"type", "integer"}}},
	{"code", object{{"type", "string"}, {"description", "Stable: bad_request invalid unauthenticated forbidden not_found conflict too_large rate_limited locked_down unavailable internal, and narrower ones."}}},
	{"detail", object{{"type", "string"}}}, {"field", object{{"type", "string"}}}, {"request_id", object{{"type", "string"}}},
}}}

type device struct {
	Name     string `json:"name"`
	Platform string `json:"platform"`
}

type loginBody struct {
	Email     string `json:"email"`
	Password  string `json:"password"`
	Transport string `json:"transport"`
	Device    device `json:"device"`
	Token     string `json:"device_token"`
}

type registerBody struct {
	loginBody
	DisplayName string `json:"display_name"`
}

type passwordBody struct {
	Current string `json:"current"`
	New     string `json:"new"`
}

type eraseBody struct {
	Password string `json:"password"`
	Confirm  string `json:"confirm"`
}

type stepUpBody struct {
	Password string `json:"password"`
}

// importQuery stands in the query: the body is the file itself.
type importQuery struct {
	Portfolio   string `json:"portfolio"`
	Account     string `json:"account"`
	Format      string `json:"format"`
	Template    string `json:"template"`
	FileName    string `json:"file_name"`
	DryRun      bool   `json:"dry_run"`
	SkipInvalid bool   `json:"skip_invalid"`
}

type exportQuery struct {
	Portfolio string `json:"portfolio"`
	Format    string `json:"format"`
}

type tokens struct {
	Access    string    `json:"access"`
	ExpiresAt time.Time `json:"expires_at"`
	Fallback  string    `json:"fallback,omitempty"`
	Legacy    string    `json:"legacy,omitempty"`
	Refresh   string    `json:"refresh,omitempty"`
	Device    string    `json:"device,omitempty"`
}

type refreshBody struct {
	Refresh string `json:"refresh"`
}

type refreshAnswer struct {
	Auth   auth.Via `json:"auth"`
	Tokens *tokens  `json:"tokens,omitempty"`
}

type sessionBrief struct {
	ID        string    `json:"id"`
	Device    device    `json:"device"`
	IP        string    `json:"ip"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Current   bool      `json:"current"`
	Sockets   int       `json:"sockets"`
}

type grant struct {
	User    auth.User     `json:"user"`
	Auth    auth.Via      `json:"auth"`
	Session *sessionBrief `json:"session,omitempty"`
	Tokens  *tokens       `json:"tokens,omitempty"`
}

type authStatus struct {
	Authenticated bool          `json:"authenticated"`
	User          *auth.User    `json:"user,omitempty"`
	Auth          auth.Via      `json:"auth,omitempty"`
	Session       *sessionBrief `json:"session,omitempty"`
	Reason        string        `json:"reason,omitempty"`
	Refreshable   bool          `json:"refreshable,omitempty"`
	Rollout       struct {
		Mode   string `json:"mode"`
		Cohort string `json:"cohort,omitempty"`
	} `json:"rollout"`
}

// rawRoutes read or write credentials, or answer without any; so they are no operations.
var rawRoutes = []route{
	{http.MethodPost, "/api/auth/register", "auth.register", "Makes an account and logs it in", 201, reflect.TypeFor[registerBody](), reflect.TypeFor[grant](), true},
	{http.MethodPost, "/api/auth/login", "auth.login", "Logs in; transport bearer puts the tokens into the body", 200, reflect.TypeFor[loginBody](), reflect.TypeFor[grant](), true},
	{http.MethodPost, "/api/auth/refresh", "auth.refresh", "Renews what the caller holds; a refresh token serves where the access token has ended", 200, reflect.TypeFor[refreshBody](), reflect.TypeFor[refreshAnswer](), true},
	{http.MethodPost, "/api/auth/exchange", "auth.exchange", "A session for a legacy token, with its remaining life", 200, nil, reflect.TypeFor[grant](), false},
	{http.MethodPost, "/api/auth/logout", "auth.logout", "Ends the session; its sockets close", 204, nil, nil, false},
	{http.MethodGet, "/api/auth/status", "auth.status", "Who the caller is; also for nobody", 200, nil, reflect.TypeFor[authStatus](), true},
	{http.MethodPost, "/api/auth/ticket", "auth.ticket", "A single-use ticket for the socket's subprotocol, good for 30 seconds", 200, nil, reflect.TypeFor[auth.TicketAnswer](), false},
	{http.MethodPost, "/api/auth/password", "auth.password", "Changes the password; all other sessions end", 200, reflect.TypeFor[passwordBody](), nil, false},
	{http.MethodPost, "/api/auth/step-up", "auth.step_up", "Proves the password again, for acts that answer step_up_required", 200, reflect.TypeFor[stepUpBody](), reflect.TypeFor[grant](), false},
	{http.MethodPost, "/api/auth/erase", "auth.erase", "Deletes the account and everything in it; its sessions end", 204, reflect.TypeFor[eraseBody](), nil, false},
	{http.MethodGet, "/api/auth/export", "auth.export", "Everything stored about the caller: JSON, or with ?format=csv a zip of one CSV file per table", 200, nil, nil, false},
	{http.MethodPost, "/api/portfolios/{portfolio}/import", "portfolio.import", "Takes a file, all rows or none; dry_run shows the verdicts, skip_invalid leaves bad rows out; format or template says what it is", 200, reflect.TypeFor[importQuery](), reflect.TypeFor[portfolio.ImportReport](), false},
	{http.MethodGet, "/api/portfolios/{portfolio}/export", "portfolio.export", "All of a portfolio: JSON, or with ?format=csv its transactions", 200, reflect.TypeFor[exportQuery](), nil, false},
	{http.MethodGet, "/api/notices", "notice.list", "What operators say to everyone: now, planned, and of the last 14 days; also for nobody", 200, nil, reflect.TypeFor[hub.NoticeBoard](), true},
	{http.MethodGet, "/api/health", "health", "Whether the server and what it needs work", 200, nil, reflect.TypeFor[health](), true},
	{http.MethodGet, "/api/health/live", "health.live", "Whether the process runs", 200, nil, reflect.TypeFor[health](), true},
	{http.MethodGet, "/api/health/ready", "health.ready", "Whether it takes callers", 200, nil, reflect.TypeFor[health](), true},
	{http.MethodGet, "/api/health/auth-v2", "health.auth_v2", "Whether sessions can authenticate right now", 200, nil, reflect.TypeFor[health](), true},
	{http.MethodGet, "/api/health/auth-legacy", "health.auth_legacy", "Whether legacy tokens can authenticate right now", 200, nil, reflect.TypeFor[health](), true},
}

// summaries has a line for every operation.
var summaries = map[string]string{
	"alert.list":            "The caller's alerts, newest first",
	"alert.add":             "An alert on a price or a day change; where its condition holds already it fires at once",
	"alert.update":          "Changes an alert; armed true lets one that fired fire again",
	"alert.delete":          "Deletes an alert; what it said stays",
	"alert.firing.list":     "What alerts said, newest first",
	"alert.seen":            "Notes that firings were seen; they are not told again",
	"watchlist.list":        "The caller's watchlists in their order",
	"watchlist.add":         "A new watchlist at the end",
	"watchlist.update":      "Renames or moves a watchlist, or replaces its symbols",
	"watchlist.delete":      "Deletes a watchlist",
	"instrument.own.list":   "Instruments that only the caller sees, with their newest prices",
	"instrument.own.set":    "Makes or changes an instrument of the caller's own",
	"instrument.own.delete": "Deletes one of them and its prices, where no ledger has it",
	"price.own.list":        "The prices that the caller gave an instrument of their own, newest first",
	"price.own.set":         "Gives it prices of days; portfolios that hold it are valued anew",
	"price.own.delete":      "Takes the price of one day away",
	"admin.notice.list":     "Notices that are shown now or planned",
	"admin.notice.add":      "Show a notice to everyone, now or at a planned time",
	"admin.notice.delete":   "Take a notice away",
	"admin.overview":        "Sockets of this server, live sessions of all, error rate and latency of the last minute",
	"session.list":          "One's own live sessions, and those that ended lately", "session.rename": "Names a device", "session.revoke": "Ends one of one's own sessions",
	"session.revoke_others": "Ends all of one's own sessions but this one", "admin.session.list": "Live sessions of everyone, a page at a time",
	"admin.session.revoke": "Ends a session; a reason is required, and a recent password", "admin.user.revoke": "Ends all sessions of a user",
	"admin.session.revoke_all": "Signs everybody out, the caller too; confirm must be all",
	"admin.revocation.get":     "What each server has made of a revocation", "admin.rollout.get": "The switches, with the guard's last decision",
	"admin.rollout.set": "Turns switches on all servers", "admin.lockdown.set": "Only administrators may act, or everyone again", "admin.audit.list": "Who did what, newest first",
	"portfolio.list": "One's own portfolios, and those that others share", "portfolio.create": "Makes a portfolio, with an account called Main", "portfolio.get": "One portfolio",
	"portfolio.update": "Changes name, base currency, cost method or costs", "portfolio.delete": "Deletes a portfolio and all in it", "portfolio.holdings": "What is held, and what it is worth",
	"account.list": "Accounts of a portfolio", "account.add": "Adds an account", "account.update": "Changes an account", "account.delete": "Deletes an account that is empty",
	"portfolio.history": "The worth of each day", "portfolio.performance": "Returns over a range", "portfolio.allocation": "What is held, divided by class, currency, account or symbol", "portfolio.income": "Income by month", "portfolio.contribution": "What each holding did to the result", "import.list": "Imports that were done", "import.undo": "Takes all rows of an import back", "import.template.list": "Remembered ways to read a CSV", "import.template.save": "Remembers a way to read a CSV", "import.template.delete": "Forgets a way to read a CSV",
	"transaction.list": "The ledger, newest first", "transaction.add": "Enters a transaction", "transaction.update": "Enters a new revision of a transaction", "transaction.delete": "Deletes a transaction; undo brings it back",
	"transaction.undo": "Takes the last change of a transaction back", "grant.list": "With whom a portfolio is shared", "grant.add": "Shares a portfolio for reading", "grant.delete": "Ends sharing, at once",
	"instrument.search": "Instruments by symbol, name or ISIN", "price.last": "Last prices", "price.candles": "Prices over time", "price.post": "Live ticks of a feed",
	"price.history.set": "Daily closes of a symbol", "instrument.set": "What a symbol stands for",
}
