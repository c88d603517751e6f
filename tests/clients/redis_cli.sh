#!/usr/bin/env bash
# redis-cli as people use it in scripts: commands on its standard input. It asks for COMMAND DOCS then and takes every
# field of the answer for granted.
port=${!#}
passed=0 failed=0
good() { passed=$((passed + 1)); }
bad() {
  failed=$((failed + 1))
  echo "FAILED redis-cli $*"
}

said=$(printf 'SET a 1\nINCR a\nGET a\nMULTI\nSET b 2\nEXEC\nCLIENT KILL ID 999999\n' | redis-cli -p "$port" 2>&1)
wanted=$'OK\n2\n2\nOK\nQUEUED\nOK\n0'
if [ "$said" = "$wanted" ]; then good; else bad "on standard input: $said"; fi
for command in "--scan" "--bigkeys" "--memkeys" "--latency-history -i 1 --raw" "-3 hello" "--stat"; do
  # shellcheck disable=SC2086
  timeout 1.5 redis-cli -p "$port" $command >/dev/null 2>&1
  code=$?
  if [ $code = 0 ] || [ $code = 124 ]; then good; else bad "$command: exit code $code"; fi
done
echo "redis-cli: $passed passed, $failed failed"
[ $failed = 0 ]
