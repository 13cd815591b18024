#!/usr/bin/env bash
# Every drill and change of two proxies of real guests, one lab at a time: others' guests would take the time of its own.
#
#   pair.sh [PYTEST ARGUMENT…]    for all of them, say: -k unplug
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0
for file in tests/lab/test_{drill,pair,pair_tenants,pair_full}.py; do
  .venv/bin/python -m pytest -q "$@" "$file" || (($? == 5)) || failed=1
done
exit "$failed"
