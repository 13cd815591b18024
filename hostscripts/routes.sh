#!/usr/bin/env bash
# A func host's routes into the tunnels, with its overlay address as their source.
#
#   from 10.0.0.3, or from a container on cw-alpha ──▶ table 201000001: 172.16.101.0/24 ──▶ mgre1; all else likewise
#   from the host itself, and the tenant not named ──▶ 172.16.101.0/24 ──▶ mgre1, from 10.0.0.3
#
# state: {"routes": [{"tenant", "device": "mgre1", "source": "10.0.0.3", "overlay": "10.0.0.0/24", "table": 201000001,
#   "destinations": ["172.16.101.0/24"], "own_destinations": […], "bridge": "cw-alpha" | null,
#   "containers": "10.88.0.0/24" | null}]}
# Every tenant has a table of its own, so that they may have the same addresses. own_destinations are those that no other
# tenant has a part of: the host's own processes need not say whose. What several have is unreachable to who does not say
# so; who does, binds the overlay address.
# Nobody gets anywhere by the default route of such a table: what a container sends there is dropped before it is routed, and the
# host's own by the proxy. It is there for rp_filter, which looks up the way to whichever router of the tenant's says that a
# packet was too long or its destination unreachable, by the same rules. Loose is not enough, as the table that they name is the
# only one; and rp_filter is not ours to switch off where net.ipv4.conf.all has it on. Without the device, all else is refused.
# A route whose device, with that address, tunnel or container has not made or has taken away, waits for it. Last of all, what
# comes from a bridge, or back from its tunnel, is forwarded: by these devices alone, whatever the host as a whole does.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"

readonly PREFERENCE=201 # of our rules: after the local table, before anybody's that a cloud or container runtime makes

main() {
  local missing
  networkd_leaves_foreign_routes
  KERNEL_FACTS+=('rule show' 'route show table all')
  kernel_facts '' >"$RUN/facts"
  # shellcheck disable=SC2016 # $ is jq's
  plan '
    def way($device; $source): "dev \($device) src \($source)";
    def in_table: if . == "main" then "" else " table \(.)" end;
    # Where a route leads from: two with the same are one and the same place.
    def place: (split(" ") | if .[0] | IN("unreachable", "prohibit") then .[1] else .[0] end)
      + (capture(" table (?<table>[0-9]+)") // {table: ""} | " \(.table)") + (if endswith(" metric 1") then " 1" else "" end);

    kernel_facts[""] as $facts
    | [$states[0].routes[] | {
        device: .device | tunnel_device, source: .source | address, overlay: .overlay | network,
        destinations: .destinations | map(network), own: .own_destinations | map(network),
        table: .table | whole(201000001; 1200999999),
        bridge: (if .bridge then .bridge | bridge else null end),
        containers: (if .bridge then .containers | network else null end)}] as $tenants
    | ([$tenants[] | . as $t | way(.device; .source) as $way
        | (.own[] | "\(as_route) \($way)"),
          (.overlay, .destinations[] | "\(as_route) \($way) table \($t.table)"),
          (select(.bridge) | "\(.containers | as_route) \(way(.bridge; .containers | first_host)) table \(.table)"),
          "default \($way) table \(.table)", "prohibit default table \(.table) metric 1"]
      + ([$tenants[] | .own as $own | .destinations[] | select(IN($own[]) | not) | "unreachable \(as_route)"] | unique)
      ) as $wanted
    | [$tenants[] | . as $t
        | ("from \(.source)", (select(.bridge) | "iif \(.bridge)", "from \(.containers)"))
        | "pref \($preference) \(.) lookup \($t.table)"] as $rules

    | [$facts.addr[] | select(.flags | index("UP")) | .ifname as $device | .addr_info[] | way($device; .local)] as $ways
    | [$facts.tables[] | select(.protocol == $protocol)
        | (if .type == "unicast" then "" else "\(.type) " end) + .dst
          + (if .dev then " dev \(.dev)" else "" end) + (if .prefsrc then " src \(.prefsrc)" else "" end)
          + (.table | in_table) + (if .metric then " metric \(.metric)" else "" end)] as $had
    | [$facts.rule[] | select(.protocol == $protocol)
        | "pref \(.priority) " + (if .iif then "iif \(.iif)" else "from \(.src)\(if .srclen then "/\(.srclen)" else "" end)" end)
          + " lookup \(.table)"] as $ruled

    | ($wanted | group_by(place)[] | select(length > 1)
        | error("two tenants have the same destination: \(join("; ")).")),
      ([$wanted[] | select(test(" dev ") and (capture(" (?<way>dev [^ ]+ src [^ ]+)").way | IN($ways[]) | not))] as $missing
        | ([$missing[] | select(test(" table ") | not)] + [$missing[] | select(test(" table "))] | join(", ")), "\u001e",
        ([$wanted | without($missing)[] | place] | map({key: ., value: true}) | from_entries) as $taken
        | batch("";
            ($wanted | without($had + $missing) | map("route replace \(.) proto \($protocol)"))
            + ($rules | without($ruled) | map("rule add \(.) protocol \($protocol)"))
            + ($ruled | without($rules) | map("rule del \(.) protocol \($protocol)"))
            + ($had | map(select($taken[place] | not) | "route del \(.) proto \($protocol)"))))
  ' --arg protocol "$PROTOCOL" --arg preference "$PREFERENCE"
  {
    IFS= read -r -d $'\x1e' missing
    run_batches
  } <"$RUN/plan"
  [[ -z $missing ]] || MISSING+=("the way of $missing")
  pods_hear_of_errors
  containers_are_forwarded
  nothing_is_missing
}

# For pods the way back is looked up in the main table, where it is another device's. A loose filter does not mind; which one
# holds is the larger of the device's setting and that of `all`.
pods_hear_of_errors() {
  local device conf=$ROOT/proc/sys/net/ipv4/conf all own
  state '.routes[] | .device | tunnel_device'
  for device in "${ROWS[@]}"; do
    [[ -d $conf/$device ]] || continue
    read -r all <"$conf/all/rp_filter"
    read -r own <"$conf/$device/rp_filter"
    (((all > own ? all : own) != 1)) || sysctls_are net/ipv4/conf/"$device"/rp_filter=2
  done
}

containers_are_forwarded() {
  local row device
  state '.routes[] | select(.bridge) | "\(.device | tunnel_device) \(.bridge | bridge)"'
  for row in "${ROWS[@]}"; do
    for device in $row; do
      [[ ! -d $ROOT/proc/sys/net/ipv4/conf/$device ]] || sysctls_are net/ipv4/conf/"$device"/forwarding=1
    done
  done
}

start "$@"
