#!/bin/sh
# Phase 1, after the servers were deployed with NEW_AUTH_ENABLED=false: both paths can authenticate on every server.
. "$(dirname "$0")/common.sh"
need SERVERS DATABASE_URL REDIS_URL

rosetree check
each /api/health/ready
each /api/health/auth-legacy
each /api/health/auth-v2
