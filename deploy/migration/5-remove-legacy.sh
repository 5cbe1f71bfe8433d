#!/bin/sh
# Phase 3, the end: legacy tokens no longer count, and the old program's role and views leave the database. There is no way
# back from here but a restore. The old program must be off. Set LEGACY_AUTH_ENABLED=false in the deployment as well.
. "$(dirname "$0")/common.sh"
need SERVERS MIGRATE_DATABASE_URL DATABASE_URL REDIS_URL
[ "${1:-}" = --yes ] || { echo "usage: $0 --yes   (legacy tokens stop counting; there is no way back)" >&2; exit 2; }

rosetree rollout set legacy_enabled=false --reason "${REASON:-migration: the legacy path ends}"
# Where it cannot have its locks within a second it changes nothing, so that requests do not queue up behind it.
patient psql -X -q -A -t -v ON_ERROR_STOP=1 "$MIGRATE_DATABASE_URL" -c "SET lock_timeout = '1s'" -c 'SELECT app_private.end_legacy()'
rosetree migrate up     # some functions have changed with it: this notes them, and the self-test passes
