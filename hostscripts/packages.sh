#!/usr/bin/env bash
# The Debian packages that this host's other concerns need are there.
#
# state: {"install": bool, "packages": ["jq", …]}
# Reads its state without jq, which may be one of the missing.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"

main() {
  local text missing
  IFS= read -r -d '' text <"$STATE" || true
  wanted_packages "$text"
  mapfile -t missing < <(missing_packages "${WANTED[@]}")
  ((${#missing[@]})) || return 0
  [[ $text =~ \"install\"[[:space:]]*:[[:space:]]*true ]] ||
    die "packages missing: ${missing[*]}. Use an image that has them, or set causeway:install_packages to true"
  packages_are_installed "${missing[@]}"
}

wanted_packages() {
  local word
  WANTED=()
  [[ $1 =~ \"packages\"[[:space:]]*:[[:space:]]*\[([^]]*)\] ]] || die "$STATE: no list \"packages\""
  for word in ${BASH_REMATCH[1]//,/ }; do
    [[ $word =~ ^\"([a-z0-9][a-z0-9+.-]+)\"$ ]] || die "$STATE: $word: not the name of a Debian package"
    WANTED+=("${BASH_REMATCH[1]}")
  done
}

missing_packages() {
  local installed package
  (($#)) || return 0
  # dpkg-query fails when it does not know one of them, and still names the others.
  installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null) || true
  for package in "$@"; do
    [[ $'\n'$installed$'\n' == *$'\n'"installed $package"$'\n'* ]] || echo "$package"
  done
}

packages_are_installed() {
  # cloud-init and unattended-upgrades hold dpkg's lock for a while after the first boot.
  local apt=(apt-get --quiet=2 -o DPkg::Lock::Timeout=240 -o Acquire::Retries=3)
  export DEBIAN_FRONTEND=noninteractive
  # What apt asks for, and does nothing without, once an installation was broken off.
  ! compgen -G "$ROOT/var/lib/dpkg/updates/[0-9]*" >/dev/null || run dpkg --configure -a
  "${apt[@]}" update || die "apt-get update failed: has this host a way to a Debian mirror?"
  run "${apt[@]}" install --yes --no-install-recommends "$@"
}

start "$@"
