#!/usr/bin/env bash
# Everything that ops asks a host for, in one go, as JSON. Changes nothing. Runs as root.
#
#   look.sh [closely]      closely: compares the kernel with what was applied as well
#
#   {"status": {…} | null,                      what /opt/causeway/status says; null: it fails, or the host has no jq for it
#    "imds": {"02:…": ["192.168.4.4"]} | null,  addresses by MAC, as the metadata has them: asked here, so that they are
#                                               a witness beside the service that acts on the same answers
#    "off": {"status": 1, "lines": ["causeway: tunnel: …"]} | null,     of `apply --check`: what an apply would change; null: not
#                                               asked. Status 124: it did not end in time
#    "connections": {"tenant-alpha": {"count": 3, "limit": 54272}}}      entries of each namespace's connection tracking, by its
#                                               name; "", the root one's, only where it tracks any: on a func host
set -euo pipefail

readonly IMDS=http://169.254.169.254/latest
readonly ASK=(curl --silent --show-error --fail --max-time 3 --noproxy '*')

main() {
  local status=null imds=null off=null
  # Whatever says nothing takes nothing else along.
  if command -v jq >/dev/null; then status=$(/opt/causeway/status) || status=null; fi
  if command -v curl >/dev/null; then imds=$(addresses_by_mac) || imds=null; fi
  if [[ ${1:-} == closely && ${status:-null} != null ]]; then off=$(what_is_off); fi
  printf '{"status": %s, "imds": %s, "off": %s, "connections": ' "${status:-null}" "${imds:-null}" "${off:-null}"
  connections_by_namespace
  printf '}\n'
}

# The first lines say what it is about.
what_is_off() {
  local said status=0
  said=$(timeout --kill-after=2 "${CAUSEWAY_CHECK_S:-12}" /opt/causeway/apply --check 2>&1) || status=$?
  printf '{"status": %s, "lines": %s}' "$status" "$(head -n 20 <<<"$said" | cut -c 1-500 | jq -R 'select(. != "")' | jq -c -s .)"
}

# errexit is off in here.
addresses_by_mac() {
  local token macs mac addresses comma=''
  token=$("${ASK[@]}" -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$IMDS/api/token") || return
  macs=$(told '') || return
  printf '{'
  for mac in $macs; do
    addresses=$(told "${mac%/}/local-ipv4s") || return
    printf '%s"%s": ["%s"]' "$comma" "${mac%/}" "${addresses//$'\n'/\", \"}"
    comma=', '
  done
  printf '}'
}

told() { "${ASK[@]}" -H @<(printf 'X-aws-ec2-metadata-token: %s' "$token") "$IMDS/meta-data/network/interfaces/macs/$1"; }

connections_by_namespace() {
  local path count limit comma='' file=/proc/sys/net/netfilter/nf_conntrack_count
  limit=$(cat /proc/sys/net/netfilter/nf_conntrack_max 2>/dev/null || echo 0) # not there: nothing is tracked
  printf '{'
  count=$(cat "$file" 2>/dev/null || echo 0)
  if ((count > 0)); then
    printf '"": {"count": %s, "limit": %s}' "$count" "$limit"
    comma=', '
  fi
  for path in /run/netns/tenant-*; do
    [[ -e $path ]] || continue
    count=$(nsenter --net="$path" -- cat "$file") || continue # it may just be going, or somebody has unmounted it
    printf '%s"%s": {"count": %s, "limit": %s}' "$comma" "${path##*/}" "$count" "$limit"
    comma=', '
  done
  printf '}'
}

main "$@" </dev/null
