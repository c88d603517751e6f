#!/usr/bin/env bash
# Real applications, unchanged, against a server of their own: BullMQ, Celery, prometheus-redis-exporter.
# run.sh --server "path/to/brim-server --threads 2"
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
modules=$here/../../build/apps
server= result=0
while [ $# -gt 0 ]; do
  case $1 in
  --server) server=$2; shift 2 ;;
  *) echo "unknown option $1"; exit 2 ;;
  esac
done

mkdir -p "$modules"
cp "$here/package.json" "$here/package-lock.json" "$here"/*.mjs "$modules/"
# Not `npm ci`: the lock file leaves out the optional parts, which only other systems have.
[ -d "$modules/node_modules/bullmq" ] ||
  (cd "$modules" && npm install --omit=optional --no-audit --no-fund --silent </dev/null) ||
  { echo "npm install failed"; exit 1; }

/usr/bin/python3 "$here/../clients/with_server.py" "$server" node "$modules/bullmq.mjs" || result=1
/usr/bin/python3 "$here/../clients/with_server.py" "$server" /usr/bin/python3 "$here/celery_run.py" || result=1
/usr/bin/python3 "$here/exporter.py" "$server" || result=1
exit $result
