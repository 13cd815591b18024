#!/usr/bin/env bash
# Format, lint, types, shell and unit tests. The first thing that CI runs.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE # compiling the tests takes longer than running most of them
bin=.venv/bin
mapfile -t shell_files < <(git ls-files --cached --others --exclude-standard -- '*.sh' hostscripts .ci/run lab/image/guest |
  while read -r file; do [[ -f $file ]] && head -c 64 "$file" | grep -qE '^#!.*\b(ba)?sh\b' && echo "$file" || true; done | sort -u)

step() {
  local started=$EPOCHREALTIME
  if ! "${@:2}"; then
    printf 'check: %s failed\n' "$1" >&2
    exit 1
  fi
  printf '  %-28s %5.1f s\n' "$1" "$(awk -v a="$started" -v b="$EPOCHREALTIME" 'BEGIN {print b - a}')"
}

step "ruff format" $bin/ruff format --quiet --check .
step "ruff check" $bin/ruff check --quiet .
step "shellcheck" $bin/shellcheck --external-sources --source-path=SCRIPTDIR "${shell_files[@]}"
step "shfmt" $bin/shfmt -d -i 2 -ci "${shell_files[@]}"
step "mypy" $bin/mypy --no-error-summary
# More workers than cores: the tests of the host scripts also wait, for the kernel.
workers=$(($(nproc) * 2))
step "unit tests" $bin/python -m pytest -q -n "$workers" --dist worksteal -m "not lab and not slow" tests/unit tests/hostscripts
