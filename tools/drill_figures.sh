#!/usr/bin/env bash
# The figures of failovers and switches: twenty runs of each, on a pair of its own that is gone afterwards. Hours; nothing
# else should run on the machine meanwhile, or the figures are the machine's.
#
#   drill_figures.sh [OPTION…]    for ops drill, say: --runs 5 --connections 200
set -euo pipefail
cd "$(dirname "$0")/.."
readonly LAB=drill-figures PYTHON=.venv/bin/python
readonly SCENARIOS=(kill hang unplug-platform unplug-user switch api-slow)

trap '"$PYTHON" -m lab down --name "$LAB"' EXIT
"$PYTHON" -m lab up --name "$LAB" --config redundancy=pair
"$PYTHON" -m ops drill "${SCENARIOS[@]}" --lab "$LAB" --runs 20 \
  --json build/drill-figures.json --pictures build/drill-figures "$@"
