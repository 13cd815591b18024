#!/usr/bin/env bash
# What leaves through a user ENI has an address of that ENI.
#
#   mgre1, from 10.0.0.0/24 ──▶ user1, from 172.16.101.10 ──▶
#
# state: {"tenants": [{"tenant", "namespace", "user": "user1", "overlay", "snat_to": "172.16.101.10" | null}]}
# null: the first address of the device. SNAT, never MASQUERADE, which forgets its connections when an address goes.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"

main() {
  local row namespace
  state '.tenants[] | "\(.namespace | namespace) \(.user | user_device) \(.overlay | network) "
    + (if .snat_to == null then "-" else .snat_to | address end)'
  for row in "${ROWS[@]}"; do
    # shellcheck disable=SC2086 # checked words
    inside ${row%% *} source_is_translated ${row#* } || MISSING+=("NAT in ${row%% *}")
  done
  tenant_namespaces
  for namespace in "${TENANT_NAMESPACES[@]}"; do
    [[ " ${ROWS[*]/% */} " == *" $namespace "* ]] || inside "$namespace" table_is_gone ip causeway_nat
  done
  nothing_is_missing
}

source_is_translated() {
  local user=$1 overlay=$2 address=$3
  [[ $address != - ]] || address=$(first_address_of "$user")
  table_is ip causeway_nat "
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname \"$user\" ip saddr $overlay snat to $address
  }"
}

first_address_of() {
  [[ $(ip -j -4 addr show dev "$1" primary scope global) =~ \"local\":\"([0-9.]+)\" ]] ||
    die "$NAMESPACE: $1 has no address to translate to: user_eni, which gives it one, was not applied"
  echo "${BASH_REMATCH[1]}"
}

start "$@"
