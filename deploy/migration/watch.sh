#!/bin/sh
# Between the steps: is the last minute within the plan? LATENCY_LIMIT (10 ms) and ERROR_LIMIT (1 %) are where the plan rolls back.
. "$(dirname "$0")/common.sh"
need SERVERS

each /api/health/ready
below "${ERROR_LIMIT:-1}" /metrics/auth-error-rate '%'
below "${LATENCY_LIMIT:-10}" /metrics/session-latency-p95 ms
