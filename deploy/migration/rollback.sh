#!/bin/sh
# Whenever it goes wrong: everything new goes the legacy way within a second. What users hold keeps working.
# After a breach of isolation: rollback.sh --lockdown, then only administrators may act.
. "$(dirname "$0")/common.sh"
need DATABASE_URL REDIS_URL

case "${1:-}" in
'') rosetree rollout set rollback=true --reason "${REASON:-rolled back by hand}" ;;
--lockdown) rosetree rollout set lockdown=true enabled=false --reason "${REASON:-security lockdown}" ;;
*) echo "usage: $0 [--lockdown]" >&2; exit 2 ;;
esac
