#!/usr/bin/env bash
# Every drill and change of two proxies of real guests, one lab at a time: others' guests would take the time of its own.
#
#   pair.sh [PYTEST ARGUMENT…]    for all of them, say: -k unplug
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0
for files in tests/lab/test_{drill,pair}.py tests/lab/test_pair_tenants.py tests/lab/test_pair_full.py; do
  .venv/bin/python -m pytest -q "$@" "$files" || (($? == 5)) || failed=1
done
exit "$failed"
