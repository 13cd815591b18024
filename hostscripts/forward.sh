#!/usr/bin/env bash
# A tenant's namespace forwards from the tunnel to the user ENI, and nothing else.
#
#   mgre1 ── from the overlay to the destinations ──▶ user1
#         ◀── only what belongs to a connection to the destinations, or is an ICMP error about one ──
#
# state: {"tenants": [{"tenant", "namespace", "tunnel": "mgre1", "user": "user1", "overlay", "destinations": […]}]}
# A destination that is taken away takes its open connections along. Everything else is counted in `dropped`; so is
# what would leave with an overlay address, because nat is not there: conntrack would keep such a flow untranslated as
# long as it lasts. Applied last for the same reason. Nor does anything leave with an address that is not this
# namespace's, whatever conntrack was told: a pair's user ENI has no source/dest check (ADR 12). MSS is clamped to the smaller MTU of both sides, in both
# directions. The namespace itself answers to ICMP only, and by a sync link to the other
# proxy's conntrackd. The root namespace never forwards.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"

main() {
  local row namespace
  sysctls_are net/ipv4/ip_forward=0
  state '.tenants[] | "\(.namespace | namespace) \(.tunnel | tunnel_device) \(.user | user_device) \(.overlay | network) "
    + ([.destinations[] | network] | join(","))'
  for row in "${ROWS[@]}"; do
    # shellcheck disable=SC2086 # checked words
    inside ${row%% *} forwards ${row#* } || MISSING+=("forwarding in ${row%% *}")
  done
  if ((${#ROWS[@]})); then
    connections_have_room "${#ROWS[@]}" sysctls_are
    neighbours_have_room
  fi
  tenant_namespaces
  for namespace in "${TENANT_NAMESPACES[@]}"; do
    [[ " ${ROWS[*]/% */} " == *" $namespace "* ]] || inside "$namespace" namespace_is_closed
  done
  nothing_is_missing
}

forwards() {
  local tunnel=$1 user=$2 overlay=$3 destinations=$4
  # The filter first: not a packet is forwarded without it.
  table_is inet causeway_forward "
  counter dropped { }
  chain clamp {
    type filter hook forward priority mangle; policy accept;
    tcp flags syn tcp option maxseg size set rt mtu
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    iifname \"$tunnel\" oifname \"$user\" ct direction original ip saddr $overlay ip daddr { $destinations } accept
    iifname \"$user\" oifname \"$tunnel\" ct direction reply ct state established,related \
      ct original ip saddr $overlay ct original ip daddr { $destinations } accept
    counter name dropped
  }
  chain untranslated {
    type filter hook postrouting priority srcnat + 50; policy accept;
    oifname \"$user\" ip saddr $overlay counter name dropped drop
    oifname \"$user\" fib saddr type != local counter name dropped drop
  }
$ICMP_ONLY"
  router_settings_are "$tunnel" "$user"
}

# ip_forward comes first, because setting it resets others. The filter knows better than rp_filter, which would drop
# ICMP errors from routers that the namespace has no route to. Nobody on the user side learns an overlay address by
# ARP. Be liberal and loose: after a failover the standby has not seen every segment of a connection, or none of it.
# Events for all: a conntrackd that comes later is to hear of connections that it found.
router_settings_are() {
  local device settings=(net/ipv4/ip_forward=1)
  # `default` is for a device that is made anew, or comes later.
  for device in all default "$@"; do
    [[ ! -d $ROOT/proc/sys/net/ipv4/conf/$device ]] ||
      settings+=(net/ipv4/conf/"$device"/{rp_filter,accept_redirects,send_redirects}"=0")
  done
  sysctls_are "${settings[@]}" net/ipv4/conf/all/arp_ignore=1 net/ipv4/conf/all/arp_announce=2 \
    net/netfilter/nf_conntrack_{tcp_be_liberal,tcp_loose,events}=1
  ipv6_is_off
}

start "$@"
