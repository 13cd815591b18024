#!/usr/bin/env bash
# First part of every configuration command: how files get onto a host and one concern is applied.
#
# The command's whole text goes to `sudo bash -s` by stdin and has this form:
#
#   <the bytes of this file>
#   main() {
#   receive_file /opt/causeway/tunnel.sh 0755 <<'CAUSEWAY_END_OF_FILE'
#   <the bytes of the file; its last one is a newline, and no line is the delimiter>
#   CAUSEWAY_END_OF_FILE
#   …
#   apply_concern tunnel
#   }
#   main </dev/null
#
# Nothing happens before the last line has arrived: what precedes it only defines functions. Files become visible
# together, after the last one was written, so a full disk leaves the old ones in place.

set -euo pipefail
umask 022

# PATH gets the text on stdin and MODE, once apply_concern is reached.
receive_file() {
  local path=$1 mode=$2 target=${CAUSEWAY_ROOT:-}$1 wanted='' present=''
  [[ $path =~ ^/(opt/causeway|etc/causeway|etc/systemd/system)/[a-z0-9][a-z0-9._@-]*$ && $mode =~ ^0[67][0-5][0-5]$ ]] ||
    causeway_refuses "$path with mode $mode: not a place for a file of Causeway's"
  IFS= read -r -d '' wanted || [[ -n $wanted ]] || causeway_refuses "$path: empty"
  [[ -f $target ]] && { IFS= read -r -d '' present <"$target" || true; }
  [[ $wanted != "$present" || ($mode == 07* && ! -x $target) ]] || return 0
  causeway_directory_exists "${target%/*}"
  causeway_incoming+=("$mode $target")
  (umask 077 && printf '%s' "$wanted" >"$target.incoming.$$") ||
    causeway_refuses "cannot write $path"
}

# The files are in place and the host is what the state of CONCERN says, also after a power failure: a kernel writes
# a new file's name within seconds, but its content only after half a minute.
#
# One that fails leaves the host as it was told before, as its stack goes on to say: who takes the change back has no
# command to send. That is where the state alone is new; with another script the old one may not fit the host's library.
apply_concern() {
  local received=${#causeway_incoming[@]} root=${CAUSEWAY_ROOT:-} status=0 state before=''
  state=$root/etc/causeway/$1.json
  [[ ${causeway_incoming[*]} != "0600 $state" || ! -s $state ]] || before=$(<"$state")
  causeway_files_are_installed
  causeway_applies "$received" "$1" || status=$?
  if ((status != 0)) && [[ -n $before ]]; then
    echo "causeway: error: $1 was not applied; this host goes back to what it was told before" >&2
    (umask 077 && printf '%s\n' "$before" >"$state.incoming.$$")
    mv -f "$state.incoming.$$" "$state"
    causeway_applies 1 "$1" || echo "causeway: error: nor is it as it was before; see: python -m ops status" >&2
  fi
  sync --file-system "$root/opt/causeway" "$root/etc/causeway"
  return "$status"
}

causeway_applies() {
  CAUSEWAY_RECEIVED=$1 timeout --kill-after=10 570 "${CAUSEWAY_ROOT:-}/opt/causeway/apply" "$2"
}

causeway_incoming=()

causeway_files_are_installed() {
  local entry target
  for entry in "${causeway_incoming[@]}"; do
    chmod "${entry%% *}" "${entry#* }.incoming.$$"
  done
  for entry in "${causeway_incoming[@]}"; do
    target=${entry#* }
    mv -f "$target.incoming.$$" "$target"
    echo "causeway: received ${target#"${CAUSEWAY_ROOT:-}"}"
  done
  causeway_incoming=()
}

causeway_directory_exists() {
  [[ -d $1 ]] && return
  mkdir -p "$1"
  [[ $1 != */etc/causeway ]] || chmod 0700 "$1"
}

causeway_refuses() {
  echo "causeway: error: $*" >&2
  exit 1
}

# However this ends: what was not installed is not left lying about, and said.
causeway_incoming_is_gone() {
  local entry
  ((${#causeway_incoming[@]})) || return 0
  for entry in "${causeway_incoming[@]}"; do
    rm -f "${entry#* }.incoming.$$"
  done
  echo "causeway: error: no file was installed. If the disk is full, see: df -h / /tmp" >&2
}
trap causeway_incoming_is_gone EXIT
