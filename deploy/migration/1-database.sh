#!/bin/sh
# Phase 1: row security comes into the old program's database while it goes on working. May be run again.
. "$(dirname "$0")/common.sh"
need MIGRATE_DATABASE_URL DATABASE_URL

# Live traffic may hold a lock that the file needs: then it changes nothing, and is tried again.
for try in 1 2 3 4 5 6 7 8 9 10; do
	if psql -X -q -v ON_ERROR_STOP=1 "$MIGRATE_DATABASE_URL" < migrations/001_enable_rls.sql; then
		break
	fi
	[ $try -lt 10 ] || exit 1
	sleep 1
done
psql -X -A -t -v ON_ERROR_STOP=1 "$MIGRATE_DATABASE_URL" -c 'SELECT app.test_rls_isolation()'
rosetree migrate up     # the later files, and the keys by which the servers prove who asks
rosetree migrate verify
