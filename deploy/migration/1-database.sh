#!/bin/sh
# Phase 1: row security comes into the old program's database while it goes on working. May be run again.
. "$(dirname "$0")/common.sh"
need MIGRATE_DATABASE_URL DATABASE_URL

patient psql -X -q -v ON_ERROR_STOP=1 "$MIGRATE_DATABASE_URL" -f migrations/001_enable_rls.sql
psql -X -A -t -v ON_ERROR_STOP=1 "$MIGRATE_DATABASE_URL" -c 'SELECT app.test_rls_isolation()'
rosetree migrate up     # the later files, and the keys by which the servers prove who asks
rosetree migrate verify
