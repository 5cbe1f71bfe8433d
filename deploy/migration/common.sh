# What the steps share; each begins with: . "$(dirname "$0")/common.sh"
# From the environment: MIGRATE_DATABASE_URL (the owner), DATABASE_URL, REDIS_URL, SECRET_KEY where the servers have one,
# and SERVERS: the address of every server, as http://10.0.0.1:8080 http://10.0.0.2:8080. METRICS: the same for where
# /metrics is, if METRICS_ADDR is set.
set -eu
cd "$(dirname "$0")/../.."

need() {
	for name in "$@"; do
		eval "[ -n \"\${$name:-}\" ]" || { echo "$0: set $name (see deploy/migration/README.md)" >&2; exit 2; }
	done
}

# each PATH: what every server answers there must be 200.
each() {
	for server in $SERVERS; do
		curl -fsS -o /dev/null --max-time 10 "$server$1" || { echo "$0: $server$1 is not well" >&2; exit 1; }
		echo "ok  $server$1"
	done
}

# below LIMIT PATH UNIT: a bare number of every server must be below LIMIT.
below() {
	for server in ${METRICS:-$SERVERS}; do
		value=$(curl -fsS --max-time 10 "$server$2")
		awk -v v="$value" -v limit="$1" 'BEGIN { exit !(v + 0 < limit + 0) }' || { echo "$0: $server$2 is $value $3, the plan allows less than $1" >&2; exit 1; }
		echo "ok  $server$2: $value $3"
	done
}

# patient COMMAND…: live traffic may hold what a command needs, or be held up by it. Then it gives up, and is tried again: what is
# run by this may be run again.
patient() {
	tries=10
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || exit 1
		sleep 1
	done
}
