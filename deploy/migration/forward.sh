#!/bin/sh
# After a rollback, by the guard or by hand, once its cause is gone: on as before it. The share stays what it was.
. "$(dirname "$0")/common.sh"
need DATABASE_URL REDIS_URL

rosetree rollout set rollback=false --reason "${REASON:-forward again}"
