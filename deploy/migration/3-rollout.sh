#!/bin/sh
# Phase 2: so many per cent of the users log in by session from now on: 3-rollout.sh 10, then 50, then 100.
# It refuses to go forward while the last minute was not within the plan. Without a restart, on all servers within a second;
# for Kubernetes the plan's own command does the same by a rolling restart:
#   kubectl set env deployment/portfolio-tracker NEW_AUTH_ENABLED=true NEW_AUTH_PERCENTAGE=10
. "$(dirname "$0")/common.sh"
need SERVERS DATABASE_URL REDIS_URL
[ $# = 1 ] || { echo "usage: $0 PERCENT" >&2; exit 2; }

"$(pwd)/deploy/migration/watch.sh"
rosetree rollout set enabled=true percentage="$1" --reason "${REASON:-migration: $1 %}"
