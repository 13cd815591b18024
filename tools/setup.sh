#!/usr/bin/env bash
# Installs what the project needs on a Debian machine, and says nothing when all of it is there:
#   Debian packages (tools/debian-packages.txt) · .venv from requirements.lock
# The Pulumi CLI and the guests' image are made by the lab when it first needs them.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\e[2m[setup]\e[0m %s\n' "$*" >&2; }
die() {
  printf 'setup: %s\n  → %s\n' "$1" "$2" >&2
  exit 1
}

# patiently WHAT COMMAND…: while the command works, says every ten seconds that it does.
patiently() {
  local what=$1 status=0
  shift
  exec 9> >(says_how_long "$what")
  "$@" 9>&- || status=$?
  exec 9>&-
  return "$status"
}

# Until the end of standard input, which comes even if this script is killed.
says_how_long() {
  local status
  SECONDS=0
  while true; do
    status=0
    read -r -t "${SETUP_SAYS_EVERY_S:-10}" || status=$?
    ((status > 128)) || return 0 # not the deadline
    say "$1: at it for $SECONDS s"
  done
}

missing_packages() {
  local wanted installed
  wanted=$(grep -v '^#' tools/debian-packages.txt | awk '{print $1}' | sort)
  installed=$(dpkg-query --show --showformat '${Package} ${db:Status-Status}\n' 2>/dev/null | awk '$2 == "installed" {print $1}' | sort)
  comm -23 <(echo "$wanted") <(echo "$installed")
}

packages_are_installed() {
  local missing as_root=()
  command -v dpkg-query >/dev/null || die "this is not a Debian machine" \
    "install by other means what tools/debian-packages.txt lists, then run the commands under .venv/bin"
  missing=$(missing_packages)
  [[ -z $missing ]] && return
  if ((EUID != 0)); then
    sudo -n true 2>/dev/null || die "Debian packages are missing: ${missing//$'\n'/ }" \
      "run: sudo apt-get install --no-install-recommends ${missing//$'\n'/ }"
    as_root=(sudo)
  fi
  say "Debian packages: ${missing//$'\n'/ }"
  patiently "the lists of Debian packages" "${as_root[@]}" apt-get -qq update
  # shellcheck disable=SC2086 # one word per package
  patiently "Debian packages" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
}

# Not one that was interrupted while it was made, or whose Python the system has replaced by another version.
venv_works() { .venv/bin/python -c 'import pip' 2>/dev/null; }

venv_equals_the_lock() {
  local stamp=.venv/requirements.lock
  cmp -s requirements.lock "$stamp" && venv_works && return
  say "Python packages from requirements.lock into .venv (one to three minutes)"
  venv_works || python3 -m venv .venv
  patiently "Python packages" .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
  # Importing pulumi_aws takes seconds without bytecode, and not everyone's Python writes it.
  patiently "bytecode of the Python packages" .venv/bin/python -m compileall -q .venv/lib >/dev/null || true
  cp requirements.lock "$stamp"
}

packages_are_installed
venv_equals_the_lock
