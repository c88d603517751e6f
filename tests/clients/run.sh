#!/usr/bin/env bash
# Real clients against a server of their own: python3-redis, ioredis, node-redis, redis-cli.
# run.sh --server "path/to/brim-server --threads 2"
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
modules=$here/../../build/clients
server= result=0
while [ $# -gt 0 ]; do
  case $1 in
  --server) server=$2; shift 2 ;;
  *) echo "unknown option $1"; exit 2 ;;
  esac
done

mkdir -p "$modules"
cp "$here/package.json" "$here/package-lock.json" "$here"/*.mjs "$modules/"
[ -d "$modules/node_modules/ioredis" ] && [ -d "$modules/node_modules/redis" ] ||
  (cd "$modules" && npm ci --no-audit --no-fund --silent </dev/null) || { echo "npm ci failed"; exit 1; }

/usr/bin/python3 "$here/with_server.py" "$server" /usr/bin/python3 "$here/python_redis.py" || result=1
/usr/bin/python3 "$here/with_server.py" "$server" node "$modules/ioredis.mjs" || result=1
/usr/bin/python3 "$here/with_server.py" "$server" node "$modules/node_redis.mjs" || result=1
/usr/bin/python3 "$here/with_server.py" "$server" bash "$here/redis_cli.sh" || result=1
exit $result
