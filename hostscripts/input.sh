#!/usr/bin/env bash
# What comes into a proxy's root namespace comes by its primary NIC.
#
#   eth0 192.168.4.4 ──▶ what the security group lets through
#   eth1, a user ENI ──▶ nothing, until user_eni has moved it into its tenant's namespace
#
# state: {"local": "192.168.4.4", "func_subnet": "192.168.80.0/24", "user_enis": ["02:00:00:00:01:01"]}
# A func host is the end of its tunnels and of nobody else's path: what it says of a smaller MTU on the way is not believed, as
# the kernel would believe it for the ways to all the others.
# In place before a user ENI is attached, and at boot, by causeway-input.service, before there is a network. Everything
# else is counted in `dropped`. systemd-networkd gives the user ENIs no addresses.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"

main() {
  local local_address func_subnet mac device
  state '(.local | address), (.func_subnet | network), (.user_enis[] | mac)'
  local_address=${ROWS[0]} func_subnet=${ROWS[1]} ROWS=("${ROWS[@]:2}")
  networkd_ignores user-eni "${ROWS[*]:+MACAddress=${ROWS[*]}}"
  nic_with_address_is_there "$local_address"
  # shellcheck disable=SC2016 # $ is jq's
  read -r mac device < <(jq -r -n "$CHECKS"' kernel_facts[""].addr[]
    | select(any(.addr_info[]; .local == $local)) | "\(.address | mac) \(.ifname | checked("[A-Za-z0-9._-]+"; "device"))"
  ' --arg local "$local_address" "$RUN/facts")
  only_primary_nic_is_open "$mac" "$device" "$func_subnet"
}

# By MAC, because names of NICs may change places at a boot; by name only what is addressed to nobody in particular.
only_primary_nic_is_open() {
  local table="
  counter dropped { }
  chain input {
    type filter hook input priority filter - 10; policy drop;
    iifname \"lo\" accept
    ip saddr $3 icmp type destination-unreachable icmp code frag-needed counter name dropped drop
    ether daddr $1 accept
    iifname \"$2\" meta pkttype { broadcast, multicast } accept
    counter name dropped
  }"
  table_is inet causeway_input "$table"
  stands_at_boot "$(whole_table inet causeway_input "$table")"
}

start "$@"
