#!/bin/sh
# Phase 3: a session for every live legacy session, with its remaining life. May be stopped and run again.
# LEGACY_SESSIONS names a file of the old program's own sessions, where there are some (rosetree sessions migrate-legacy --help).
. "$(dirname "$0")/common.sh"
need DATABASE_URL REDIS_URL

if [ -n "${LEGACY_SESSIONS:-}" ]; then
	patient rosetree sessions migrate-legacy --from "$LEGACY_SESSIONS"
else
	patient rosetree sessions migrate-legacy
fi
