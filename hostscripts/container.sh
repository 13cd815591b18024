#!/usr/bin/env bash
# A func host's containers: which of them are whose, and with what address their packets go into the tunnel.
#
#   container 10.88.0.5 ── bridge cw-alpha 10.88.0.1 ──▶ mgre1, from 10.0.0.3
#
# state: {"own": "192.168.80.8", "underlay_mtu": 9001, "tunnel_kind": "gre", "pods": "10.244.0.0/16" | null,
#   "tunnels": [{"tenant", "device": "mgre1", "source": "10.0.0.3"}],
#   "bridges": [{"tenant", "bridge": "cw-alpha", "cidr": "10.88.0.0/24", "gateway": "10.88.0.1/24", "device": "mgre1",
#     "destinations": ["172.16.101.0/24"]}]}
#
# The bridge a container hangs on says whose it is, and it reaches that tenant alone:
#   - what comes from a bridge has an address of its range, and goes to one of that range or of the tenant's destinations:
#     into that tenant's tunnel, from the host's overlay address, or to another container of the bridge; of the host itself it
#     gets answers to pings alone;
#   - what comes out of a tunnel is addressed to the host's overlay address in it, and reaches a container, or the host
#     itself, only as the answer to what that has sent; the host answers pings;
#   - nobody else's packets enter a tunnel, or reach a bridge, by being forwarded, but for those of `pods`.
#   - ARP, which no other filter sees, makes neighbour entries for who has an address of the bridge's range.
# All else is counted in `dropped`. What neither comes from a bridge or tunnel nor goes to one is none of our business.
# Connections that began before any of this was there, at a boot or ahead of the first apply, are not believed: they have no
# SNAT, and the kernel adds none to what it knows.
# Applied ahead of the tunnels, so that none is open without it, and at boot, by causeway-container.service, ahead of any
# runtime: until all is applied its containers would reach what the host does, such as the metadata service. The way itself is
# opened by routes. A bridge that is there already, as where a container came first, is used; one that somebody else has made is
# never deleted.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"

readonly GROUP=201 # of devices: the bridges that we made
# A bridge remembers as many MACs as its widest range has addresses (kernel 6.7, iproute2 6.8; older ones have no limit): a
# container makes up others as fast as it can send, and each takes memory of the host's.
readonly MOST_MACS=4096
SETS_COUNT=yes

# What containers begin is in a zone of connection tracking of its own, and so another connection than the same one of before.
# What comes back, to addresses of the host's, is in none.
readonly IN_ZONE=' ct original zone set 201'
# Ahead of connection tracking, which knows addresses, but not who has sent what; and of the joining of fragments (-400), which
# are one packet where their addresses are the same, whatever bridge each came from.
readonly CHAINS='
  chain prerouting {
    type filter hook prerouting priority -450; policy accept;
    iifname "cw-*" jump from_containers
    iifname "mgre*" jump from_tunnels
  }
  chain from_containers {
    iifname . ip saddr @gateways counter name dropped drop
    iifname . ip saddr @homes iifname . ip daddr @reached'"$IN_ZONE"' return
    counter name dropped drop
  }
  chain from_tunnels {
    iifname . ip daddr @ends return
    counter name dropped drop
  }
  chain clamp {
    type filter hook forward priority mangle; policy accept;
    oifname "mgre*" tcp flags syn tcp option maxseg size set rt mtu
    iifname "mgre*" tcp flags syn tcp option maxseg size set rt mtu
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "cw-*" jump out_of_containers
    iifname "mgre*" jump out_of_tunnels
    oifname "cw-*" counter name dropped drop
    oifname "mgre*" jump of_others
  }
  chain out_of_containers {
    iifname . oifname @ways accept
    counter name dropped drop
  }
  chain out_of_tunnels {
    ct direction reply ct state established,related oifname . iifname @ways accept
    ct direction reply ct state established,related ip daddr @pods accept
    counter name dropped drop
  }
  chain of_others {
    ip saddr @pods ct direction original accept
    counter name dropped drop
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "cw-*" jump to_host
    iifname "mgre*" jump to_end
  }
  chain to_host {
    # Of a connection that the host has to a container of this bridge: an ICMP error may name any other one as its cause.
    ct direction reply ct state established,related iifname . ct original ip daddr @homes accept
    icmp type echo-request fib daddr . iif type local accept
    counter name dropped drop
  }
  chain to_end {
    ct direction reply ct state established,related iifname . ct original ip saddr @ends accept
    icmp type echo-request accept
    counter name dropped drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr @containers snat ip to oifname map @overlays
  }'
# The host has one table of neighbours for all tenants, and an entry for whoever asks by ARP.
readonly ARP_CHAINS='
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "cw-*" jump from_containers
  }
  chain from_containers {
    arp saddr ip 0.0.0.0 accept
    iifname . arp saddr ip @homes accept
    counter name dropped drop
  }'

main() {
  local pods bridges
  state '(.own | address), (.pods // "-" | if . == "-" then . else network end)'
  pods=${ROWS[1]}
  nic_with_address_is_there "${ROWS[0]}"
  networkd_ignores containers 'Name=cw-*'
  state '.bridges[] | "\(.bridge | bridge) \(.cidr | network) \(.gateway | network | split("/")[0]) \(.device | tunnel_device) "
    + ([.destinations[] | network] | join(" "))'
  bridges=("${ROWS[@]}")
  state '.tunnels[] | "\(.device | tunnel_device) \(.source | address)"'
  tenants_are_apart "$pods"
  bridges_are
  # All tenants' connections are in one table here, with the host's own.
  if [[ $pods != - ]] || ((${#bridges[@]})); then
    connections_have_room 1 sysctls_are_at_least
    neighbours_have_room
  fi
}

# Of main's bridges, and of the tunnels, which are ROWS.
tenants_are_apart() {
  local row bridge cidr gateway device source destinations
  local pods=() homes=() gateways=() reached=() ends=() ways=() overlays=() containers=() table arp_table
  [[ $1 == - ]] || pods=("$1")
  for row in "${ROWS[@]}"; do
    read -r device source <<<"$row"
    ends+=("\"$device\" . $source")
    overlays+=("\"$device\" : $source")
  done
  for row in "${bridges[@]}"; do
    read -r bridge cidr gateway device destinations <<<"$row"
    homes+=("\"$bridge\" . $cidr")
    gateways+=("\"$bridge\" . $gateway")
    # shellcheck disable=SC2086 # checked words
    printf -v destinations "\"$bridge\" . %s\n" "$cidr" $destinations
    mapfile -t -O "${#reached[@]}" reached <<<"${destinations%$'\n'}"
    ways+=("\"$bridge\" . \"$device\"" "\"$bridge\" . \"$bridge\"")
    containers+=("$cidr")
  done
  table="
  counter dropped { }
$(
    set_of 'set homes' 'typeof iifname . ip saddr; flags interval;' "${homes[@]}"
    set_of 'set gateways' 'typeof iifname . ip saddr;' "${gateways[@]}"
    set_of 'set reached' 'typeof iifname . ip daddr; flags interval;' "${reached[@]}"
    set_of 'set ends' 'typeof iifname . ip daddr;' "${ends[@]}"
    set_of 'set ways' 'typeof iifname . oifname;' "${ways[@]}"
    set_of 'map overlays' 'typeof oifname : ip saddr;' "${overlays[@]}"
    set_of 'set containers' 'type ipv4_addr; flags interval;' "${containers[@]}"
    set_of 'set pods' 'type ipv4_addr; flags interval;' "${pods[@]}"
  )$CHAINS"
  arp_table="
  counter dropped { }
$(set_of 'set homes' 'typeof iifname . arp saddr ip; flags interval;' "${homes[@]}")$ARP_CHAINS"
  stands_at_boot "$(whole_table inet causeway_container "$table" && whole_table arp causeway_arp "$arp_table")"
  ! connections_are_in_no_zone || table=${table/$IN_ZONE/}
  table_is inet causeway_container "$table"
  table_is arp causeway_arp "$arp_table"
}

# Where an earlier version has applied since the boot: those that are open would be others, and cut.
connections_are_in_no_zone() {
  local record=$RUN/tables/root.causeway_container
  [[ -s $record && $(<"$record") != *"$IN_ZONE"* ]]
}

# set_of NAME PROPERTIES ELEMENT…: an empty one has no list, which nft would not read.
set_of() {
  local name=$1 properties=$2 IFS=,
  shift 2
  printf '  %s { %s' "$name" "$properties"
  (($# == 0)) || printf ' elements = { %s }' "$*"
  printf ' }\n'
}

# Those that we made are in a group, by which they go when nobody wants them any more. Who hung on one is cut off: what is no
# port of a bridge is a way into the host itself, about which there is no rule here. Their MAC is fixed: a bridge's own would be
# another one with each container that comes, and the others' neighbour entries would be wrong.
bridges_are() {
  local learns=''
  [[ $(ip link help bridge 2>&1 || true) != *fdb_max_learned* ]] || learns="fdb_max_learned $MOST_MACS"
  kernel_facts '' >"$RUN/facts"
  # shellcheck disable=SC2016 # $ is jq's
  plan '
    def hex: "0123456789abcdef" as $digits | . as $n | ($n / 16 | floor) as $high | $digits[$high:$high + 1] + $digits[$n % 16:$n % 16 + 1];
    def mac_of: "02:c0:" + (split("/")[0] / "." | map(tonumber | hex) | join(":"));
    def marked: .group == $group;

    $states[0] as $state | kernel_facts[""].addr as $links
    | ($links | tunnel_mtu($state)) as $mtu
    | [$state.bridges[] | {bridge: .bridge | bridge, gateway: .gateway | network}] as $wanted
    | ([$links[] | select(.linkinfo.info_kind == "bridge") | {key: .ifname, value: .}] | from_entries) as $bridges
    | batch("";
        [$bridges[] | select(marked and (.ifname | IN($wanted[].bridge) | not)) | "link del dev \(.ifname)"]),
      ($wanted[] | .bridge as $bridge | .gateway as $gateway | $bridges[$bridge] as $link
        | [$link.addr_info[]? | select(.family == "inet") | "\(.local)/\(.prefixlen)"] as $addresses
        | batch("";
            (if $link == null then ["link add name \($bridge) group \($group) address \($gateway | mac_of) type bridge \($learns)"]
              elif $learns == "" or ($link.linkinfo.info_data.fdb_max_learned // $macs) == $macs then []
              else ["link set dev \($bridge) type bridge \($learns)"] end)
            + (if $link and ($link | marked) then $addresses - [$gateway] | map("addr del \(.) dev \($bridge)") else [] end)
            + (if $link.mtu == $mtu then [] else ["link set dev \($bridge) mtu \($mtu)"] end)
            + (if $addresses | index($gateway) then [] else ["addr add \($gateway) dev \($bridge)"] end)
            + (if $link.flags // [] | index("UP") then [] else ["link set dev \($bridge) up"] end)))
  ' --arg group "$GROUP" --arg learns "$learns" --argjson macs "$MOST_MACS"
  # With a bridge, or its address, go the routes over it.
  [[ $(<"$RUN/plan") != *$'\n'@("link add "|"addr del ")* ]] || later_concerns_follow
  who_hangs_there_is_cut_off
  run_batches <"$RUN/plan"
  bridges_are_discreet
}

# On a bridge that goes. One that just goes too, with its container, is none to fail for.
who_hangs_there_is_cut_off() {
  local bridge ports port
  while read -r bridge; do
    ports=$(ip -j link show master "$bridge" | jq -r '.[] | .ifname // empty')
    for port in $ports; do
      run ip link set dev "$port" down || ! ip link show dev "$port" >/dev/null 2>&1 || return 1
    done
  done < <(sed -n 's/^link del dev //p' "$RUN/plan")
}

# Of the host's other addresses nothing is said to who asks for them from a bridge.
bridges_are_discreet() {
  local row conf
  state '.bridges[] | .bridge'
  for row in "${ROWS[@]}"; do
    conf=net/ipv4/conf/$row
    [[ ! -d $ROOT/proc/sys/$conf ]] || sysctls_are "$conf"/{arp_ignore=1,accept_redirects=0,send_redirects=0}
  done
}

start "$@"
