#!/usr/bin/env bash
# The tests with real guests. Half of their time is spent waiting for a guest, so three lanes run side by side: two drive
# labs, a file of tests at a time. One forks into namespaces of its own, which a process that has threads (gRPC's, or
# those of a pytest worker) may not, and has the host scripts on a real kernel after that. Two proxies of real guests come
# after them, alone on the machine, because a pair takes a proxy that gets no time for one that is dead: a few drills
# here, with who reaches what of a pair, a tenant that comes and goes and the change of the kind of tunnel, and every other
# one with `make pair`.
#
#   e2e.sh [PYTEST ARGUMENT…]    for all lanes and the drills, say: -k interrupted
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE
pytest=(.venv/bin/python -m pytest -q "$@")
shopt -s nullglob
forking=(tests/lab/test_{fabric,metadata,machine}_*.py)
others=("${forking[@]}" tests/lab/test_{drill,pair,pair_full,pair_isolation,pair_tenant,pair_tenants,tunnels}.py)

# With -k a lane may have nothing to run: pytest's 5.
ran() { "$@" || (($? == 5)); }

forks() {
  local failed=0
  ran "${pytest[@]}" "${forking[@]}" || failed=1
  ran "${pytest[@]}" tests/hostscripts -m slow || failed=1
  return "$failed"
}

said=$(mktemp)
forks >"$said" 2>&1 &
lane=$!
trap 'kill "$lane" 2>/dev/null || true; rm -f "$said"' EXIT

failed=0
ran "${pytest[@]}" -n 2 --dist loadfile tests/lab "${others[@]/#/--ignore=}" || failed=1
wait "$lane" || failed=1
echo "fabric, metadata and machines; host scripts:"
cat "$said"
echo "drills and tunnels:" # a pair, whose guests are not kept waiting by others
ran "${pytest[@]}" tests/lab/test_{drill,pair_isolation,pair_tenant,tunnels}.py -m "not every_scenario" || failed=1
exit "$failed"
