package alert

import "time"

const minute = time.Minute

// checks is every authentication of a request, by path and result.
func checks(results ...string) Series {
	return Series{Name: "rosetree_auth_check_seconds_count", Label: "result", Values: results}
}

func logins(results ...string) Series {
	return Series{Name: "rosetree_auth_logins_total", Label: "result", Values: results}
}

var (
	sessionP95 = Quantile{Of: Series{Name: "rosetree_auth_check_seconds", Label: "path", Values: []string{"session"}}, Q: .95, Window: 2 * minute}
	pool       = Filling{Used: Series{Name: "rosetree_auth_db_used_connections"}, Max: Series{Name: "rosetree_auth_db_max_connections"}}
	memory     = Filling{Used: Series{Name: "rosetree_auth_redis_memory_bytes"}, Max: Series{Name: "rosetree_auth_redis_memory_max_bytes"}}
)

// Conditions are the thresholds of the migration plan first, then what else must not pass unseen.
var Conditions = []Condition{
	{Name: "AuthErrorRate", Severity: Critical, Says: "More than 1 % of authentications fail because of us; the guard rolls back by itself.", Unit: "%", Limit: 1, For: minute,
		Measure: Share{Part: checks("failed"), Whole: checks("ok", "failed", "refused"), Window: 2 * minute, Least: 50}},
	{Name: "SessionValidationSlow", Severity: Critical, Says: "Validating a session takes over 10 ms for one request in twenty.", Unit: "ms", Limit: 10, For: minute, Measure: sessionP95},
	{Name: "LoginSuccessLow", Severity: Critical, Says: "Log-ins with a right password fail or are turned away: under 95 % succeed. Wrong passwords are not counted.", Unit: "%", Limit: 95, Below: true, For: minute,
		Measure: Share{Part: logins("ok"), Whole: logins("ok", "failed"), Window: 5 * minute, Least: 20}},
	{Name: "IsolationBreach", Severity: Critical, Says: "The database refused a statement that asked for another user's rows or came with a forged identity.", Unit: "refusals",
		Measure: Growth{Of: Series{Name: "rosetree_auth_isolation_refusals_total"}, Window: 10 * minute}},

	{Name: "PasswordSpraying", Severity: Warning, Says: "Wrong passwords for over 20 different accounts came from one address prefix in 5 to 10 minutes.", Unit: "accounts", Limit: 20,
		Measure: Level{Of: Series{Name: "rosetree_auth_spray_accounts"}, Scale: 1}},

	{Name: "RedisMemoryHigh", Severity: Warning, Says: "Redis uses over 70 % of its memory.", Unit: "%", Limit: 70, For: 2 * minute, Measure: memory},
	{Name: "RedisMemoryFull", Severity: Critical, Says: "Redis uses over 80 % of its memory; full, it refuses new sessions.", Unit: "%", Limit: 80, For: minute, Measure: memory},
	{Name: "PoolHigh", Severity: Warning, Says: "Over 70 % of a server's database connections are in use.", Unit: "%", Limit: 70, For: 2 * minute, Measure: pool},
	{Name: "PoolFull", Severity: Critical, Says: "Over 80 % of a server's database connections are in use; at the limit requests wait, then get 503.", Unit: "%", Limit: 80, For: minute, Measure: pool},
	{Name: "SessionValidationSlower", Severity: Warning, Says: "Validating a session takes over 7 ms for one request in twenty.", Unit: "ms", Limit: 7, For: 2 * minute, Measure: sessionP95},
	{Name: "SocketFailures", Severity: Warning, Says: "Over 2 % of WebSocket upgrades fail because of us.", Unit: "%", Limit: 2, For: 2 * minute,
		Measure: Share{Part: Series{Name: "rosetree_hub_upgrades_total", Label: "result", Values: []string{"unavailable", "internal"}}, Whole: Series{Name: "rosetree_hub_upgrades_total"}, Window: 5 * minute, Least: 50}},

	{Name: "PriceLate", Severity: Business, Says: "A price takes over 50 ms from its arrival here to a client's socket.", Unit: "ms", Limit: 50, For: 2 * minute,
		Measure: Quantile{Of: Series{Name: "rosetree_hub_price_seconds"}, Q: .95, Window: 2 * minute}},
	{Name: "PortfolioLate", Severity: Business, Says: "A committed transaction takes over 100 ms to the user's other devices.", Unit: "ms", Limit: 100, For: 2 * minute,
		Measure: Quantile{Of: Series{Name: "rosetree_portfolio_sync_seconds"}, Q: .95, Window: 2 * minute}},

	{Name: "RevocationSlow", Severity: Critical, Says: "A revocation took over a second to end its sessions.", Unit: "ms", Limit: 1000,
		Measure: Quantile{Of: Series{Name: "rosetree_auth_revocation_seconds"}, Q: .99, Window: 5 * minute}},
	{Name: "RevocationsUnwritten", Severity: Critical, Says: "Revocations that took effect are not in PostgreSQL yet.", Unit: "revocations", For: minute,
		Measure: Level{Of: Series{Name: "rosetree_auth_revocations_unwritten"}, Scale: 1}},
	{Name: "Blind", Severity: Warning, Says: "A server does not hear Redis's events and polls instead.", Unit: "", For: minute, Measure: Level{Of: Series{Name: "rosetree_auth_blind"}, Scale: 1}},
	{Name: "RedisGone", Severity: Critical, Says: "A server cannot use Redis and works on fallback tokens and the ledger.", Unit: "", For: 15 * time.Second, Measure: Level{Of: Series{Name: "rosetree_auth_breaker_open"}, Scale: 1}},
	{Name: "LedgerStale", Severity: Critical, Says: "A server has not read the revocation ledger in PostgreSQL for half a minute.", Unit: "s", Limit: 30, Measure: Age{Of: Series{Name: "rosetree_auth_ledger_read_timestamp_seconds"}}},
	{Name: "RolledBack", Severity: Critical, Says: "The guard has turned the new log-in path off; forward again is a person's decision.", Unit: "times",
		Measure: Growth{Of: Series{Name: "rosetree_auth_guard_rollbacks_total"}, Window: 10 * minute}},
	{Name: "HubInconsistent", Severity: Critical, Says: "The hub's self-check found a contradiction in its own books.", Unit: "faults",
		Measure: Growth{Of: Series{Name: "rosetree_hub_consistency_faults_total"}, Window: 10 * minute}},
	{Name: "PortfolioDrift", Severity: Critical, Says: "A running portfolio total was not equal to the full sum.", Unit: "totals",
		Measure: Growth{Of: Series{Name: "rosetree_portfolio_drift_total"}, Window: 10 * minute}},
}
