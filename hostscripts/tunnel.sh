#!/usr/bin/env bash
# Tunnels, one per tenant, and the guard of their mouths.
#
#   func host                                     proxy
#   mgre1 10.0.0.3/24                             namespace tenant-alpha: mgre1 10.0.0.4/24, no remote,
#     │ remote 192.168.4.4, key 1                   │  neighbour 10.0.0.3 → 192.168.80.8, permanent
#   eth0 192.168.80.8 ════════ GRE, key 1 ════════ eth0 192.168.4.4, in the root namespace
#
# A proxy of a pair has one more device per tenant, the way of the synced connections:
#
#   proxy-0, namespace tenant-alpha: sync1 169.254.254.1/30 ══ GRE, key 2^31 + 1 ══ sync1 169.254.254.2/30, on proxy-1
#
# state: {"own": "192.168.4.4", "local": "192.168.4.100", "underlay_mtu": 9001, "tunnel_kind": "gre" | "gre-fou" | "ipip",
#   "tunnels": [{"tenant", "namespace": "tenant-alpha" | null, "device", "key", "remote": "192.168.4.4" | null,
#   "address": "10.0.0.3/24", "peers": […]}]}, peers as in tunnel_peers.sh
# own: by which this host is known, and what a device with a remote sends from. local: what the others send from, and are
# reached at; a pair's HaVip, which may be somewhere else now. Without `own` both are the same.
#
# A device is made in the root namespace, where its packets stay, and moved into the tenant's. A tenant whose namespace
# user_eni has not made, or has taken away, has no tunnel, and none of its packets comes in. Other ends are changed in
# place: neighbours, routes and connections stay. A device's MTU is that of the NIC with the own address, or underlay_mtu
# if less, minus what the kind of tunnel puts around a packet.
#
#   gre      IPv4, GRE with the tenant's key
#   gre-fou  the same in UDP, with a source port for each inner flow (RFC 8086). What one host sends in one of the two, the
#            other takes in in either, so that hosts change from one to the other one by one.
#   ipip     IPv4 alone. Nothing says whose a packet is but its outer addresses: a pair serves one tenant. A peer is a route
#            here, with its outer address as the gateway, as there are no neighbours without a link layer.
#
# A packet comes in only if
#   - GRE has exactly a key: no checksum, no sequence number, and IPv4 inside;
#   - where there are many peers, or it is a sync link: its outer source, key and inner source belong together;
#   - where there is one: its outer source and key are the remote's.
# A func host forwards no packet of a tunnel to anybody, and has none of its own tunnels' in its connection table. (A proxy's
# root namespace has no such table.)
# Into a func host's tunnel goes only what has the host's own overlay address, after any SNAT. All else is counted, but
# for the kernel's own search for IPv6 routers, which goes on for ever and says nothing of anybody.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"
# shellcheck source=hostscripts/tunnel_peers.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/tunnel_peers.sh"

readonly FOU_PORT=4754   # of GRE in UDP (RFC 8086)
readonly GRO_BYTES=65536 # what the kernel gives a device

# Offsets in bits: flags and protocol 0, key 32, and, as nothing but the key is there, the inner source 64 + 96. UDP puts 64
# before them, and the kernel takes GRE out of it without asking again. In IPIP, protocol 4, the inner source is at 96 itself.
# (What is called ipip in /etc/protocols is another one.)
readonly GUARD="
  counter dropped { }
  set peers { typeof ip saddr . @th,32,32 . @th,160,32; }
  set remotes { typeof ip saddr . @th,32,32; }
  set ipip_peers { typeof ip saddr . @th,96,32; }
  set ipip_remotes { typeof ip saddr; }
  set sources { typeof oifname . ip saddr; }
  chain input {
    type filter hook input priority filter; policy accept;
    meta l4proto gre jump out_of_gre
    udp dport $FOU_PORT jump out_of_fou
    meta l4proto 4 jump out_of_ipip
  }
  chain out_of_gre {
    @th,0,32 0x20000800 ip saddr . @th,32,32 . @th,160,32 @peers accept
    @th,0,32 0x20000800 ip saddr . @th,32,32 @remotes accept
    counter name dropped drop
  }
  chain out_of_fou {
    @th,64,32 0x20000800 ip saddr . @th,96,32 . @th,224,32 @peers accept
    @th,64,32 0x20000800 ip saddr . @th,96,32 @remotes accept
    counter name dropped drop
  }
  chain out_of_ipip {
    @th,0,4 4 ip saddr . @th,96,32 @ipip_peers accept
    @th,0,4 4 ip saddr @ipip_remotes accept
    counter name dropped drop
  }
  chain postrouting {
    type filter hook postrouting priority srcnat + 50; policy accept;
    oifname \"mgre*\" jump into_tunnels
  }
  chain into_tunnels {
    oifname . ip saddr @sources accept
    icmpv6 type nd-router-solicit drop
    counter name dropped drop
  }"
# What others forward here and masquerade would have the host's own address, which is what a proxy knows it by; and its
# answers might be theirs, as connection tracking tells no keys of GRE apart. What is inside a tunnel may be of any protocol:
# `container` decides about that.
readonly FORWARD_NO_TUNNEL="
  chain forward {
    type filter hook forward priority filter; policy accept;
    oifname \"mgre*\" return
    iifname \"mgre*\" return
    oifname \"cw-*\" return
    meta l4proto { gre, 4 } counter name dropped drop
    udp dport $FOU_PORT counter name dropped drop
  }"
# Connections of all tenants' containers are in one table there. When one of them has filled it, the outer packets of new flows
# would be refused, whoever's is inside. (With the protocol ahead of @th, nft 1.0.6 cannot list what it has loaded.)
readonly NOT_TRACKED="
  chain not_tracked_in {
    type filter hook prerouting priority raw; policy accept;
    ip saddr . @th,32,32 @remotes meta l4proto gre notrack
    ip saddr . @th,96,32 @remotes udp dport $FOU_PORT notrack
    meta l4proto 4 ip saddr @ipip_remotes notrack
  }
  chain not_tracked_out {
    type filter hook output priority raw; policy accept;
    ip daddr . @th,32,32 @remotes meta l4proto gre notrack
    ip daddr . @th,96,32 @remotes udp dport $FOU_PORT notrack
    meta l4proto 4 ip daddr @ipip_remotes notrack
  }"
# A proxy's root namespace has a leg in no tenant, and forwards nothing even if someone switches ip_forward on.
readonly NEVER_FORWARD='
  chain forward {
    type filter hook forward priority filter; policy drop;
    counter name dropped
  }'

main() {
  wanted_is_read
  if peers_alone_differ; then
    if peers_are_changed; then
      peers_are_remembered
      return
    fi
    say "somebody has changed the kernel: all is compared"
  fi
  peers_are_forgotten
  all_is_reconciled
  peers_are_remembered
}

all_is_reconciled() {
  local guard=$GUARD kind underlay namespace
  ABSENT=()
  state 'tunnel_kind, (.own // .local | address), (.tunnels[] | .namespace | select(.) | namespace)'
  kind=${ROWS[0]} underlay=${ROWS[1]} ROWS=("${ROWS[@]:2}")
  nic_with_address_is_there "$underlay"
  if ((${#ROWS[@]})); then guard+=$NEVER_FORWARD; else guard+=$FORWARD_NO_TUNNEL$NOT_TRACKED; fi
  networkd_ignores tunnels 'Name=mgre* sync* gre0 gretap0 erspan0 tunl0'
  for namespace in "${ROWS[@]}"; do
    namespace_is_there "$namespace" || ABSENT+=("$namespace")
  done
  MISSING+=("${ABSENT[@]/#/namespace }")
  guard_and_tunnels_are "$guard" "$kind"
  nothing_is_missing
}

# Open with both kinds of GRE, behind the guard: a host that sends the other kind already, or still, is heard. The kernel
# does not load the module by itself.
fou_port_is() {
  local open=no
  [[ $(ip fou show 2>/dev/null) != *"port $FOU_PORT ipproto 47"* ]] || open=yes
  case $1/$open in
    ipip/yes) run ip fou del port "$FOU_PORT" ;;
    gre*/no)
      run modprobe fou
      run ip fou add port "$FOU_PORT" ipproto 47
      ;;
  esac
}

# The guard comes first: no tunnel is open without it.
guard_and_tunnels_are() {
  local guard_stands=yes
  tenant_namespaces
  kernel_facts "${TENANT_NAMESPACES[@]}" >>"$RUN/facts"
  if table_is_as_left inet causeway_tunnel "$1"; then
    nft -j list table inet causeway_tunnel >"$RUN/sets"
  else
    guard_stands=no
    echo '{"nftables": []}' >"$RUN/sets"
  fi
  plan "$PEERS $PLAN" --slurpfile sets "$RUN/sets" --arg absent "${ABSENT[*]}" \
    --arg protocol "$PROTOCOL" --arg port "$FOU_PORT" --arg gro "$GRO_BYTES"
  # The kernel drops a device's routes with its addresses.
  [[ $(<"$RUN/plan") != *$'\n'@("link add "|"addr del ")* ]] || later_concerns_follow
  {
    guard_is "$1" "$guard_stands"
    fou_port_is "$2"
    run_batches
  } <"$RUN/plan"
}

# The first record of stdin is the commands that fill the guard's sets.
guard_is() {
  local commands
  IFS= read -r -d $'\x1e' commands
  if [[ $2 == no ]]; then
    table_is_replaced inet causeway_tunnel "$1" "$commands"
  elif [[ -n $commands ]]; then
    elements_are_said <<<"$commands"
    ! is_for_real || nft -f - <<<"$commands"
  fi
}

# Not all: a provider that waits for lines does not take one of 64 KiB.
elements_are_said() {
  local command elements
  while read -r command; do
    IFS=, read -r -a elements <<<"${command#*\{ }"
    ((${#elements[@]} <= SAID_AT_MOST)) ||
      command="${command%%\{*}{ $(printf '%s,' "${elements[@]:0:SAID_AT_MOST}") … and $((${#elements[@]} - SAID_AT_MOST)) more }"
    [[ -z $command ]] || changed "nft $command"
  done
}

# Its first record is for nft: what the sets lack and what they have too much. The others are for ip.
# shellcheck disable=SC2016 # $ is jq's
readonly PLAN='
  # The other address of a /30.
  def other_end: split("/") | if .[1] == "30" then .[0] | to_int | . + ([0, 1, -1, 0][. % 4]) | from_int
    else error("sync link \(join("/")): not in a /30") end;

  # As `ip link` takes it; the first time without what it has by itself.
  def settings: "type \(.type) local \(.from)\(if .remote == "any" then "" else " remote \(.remote)" end)"
    + (if .type == "ipip" then "" else " key \(.key)" end) + " ttl 64"
    + (if .in_udp then " encap fou encap-sport auto encap-dport \($port)" else "" end);
  def other_settings: settings + (if .in_udp then "" else " noencap" end);

  # GRE leaves no mark of UDP on what it puts together of several packets, so the kernel drops what came in UDP as no
  # tunnel (gre_gro_complete, udp_unexpected_gso): then the NIC puts nothing together. Tunnel devices do so themselves.
  def gro($kind): ($kind != "gre-fou") as $merges
    | if .gro_ipv4_max_size == null or (.gro_ipv4_max_size > 0) == $merges then empty
      else "link set dev \(.ifname) gro_ipv4_max_size \(if $merges then $gro else 0 end)" end;

  $states[0] as $state | ($state.local | address) as $local | ($state.own // $local | address) as $own
  | ($state | tunnel_kind) as $kind
  | kernel_facts as $facts
  | ($facts[""].addr | tunnel_mtu($state)) as $mtu
  | [$state.tunnels[] | {
      namespace: (if .namespace == null then "" else .namespace | namespace end),
      device: .device | checked("(mgre|sync)[0-9]{1,9}"; "tunnel device"),
      key: .key | whole(0; 4294967295),
      remote: (if .remote == null then "any" else .remote | address end),
      address: .address | network,
      peers: .peers | peer_ranges
    }
    | .is_sync = (.device | startswith("sync"))
    | .type = (if $kind == "ipip" and (.is_sync | not) then "ipip" else "gre" end)
    | .in_udp = ($kind == "gre-fou" and (.is_sync | not))
    # A sync link is GRE with a key, whatever the tunnels are.
    | .mtu = (if .is_sync then $mtu + ($state | overhead) - ({tunnel_kind: "gre"} | overhead) else $mtu end)
    | .from = (if .remote == "any" then $local else $own end)
    # A remote is changed to another one in place, but not to none; so is UDP, but not another type.
    | .id = "\(.namespace) \(.device) \(if .type == "ipip" then "ipip" else .key | from_int end) \(.remote == "any")"]
  | map(select(.namespace == "" or (.namespace | IN($absent | split(" ")[]) | not)))
  | ([.[].peers[]] | underlays) as $underlays | map(.peers |= expanded($underlays)) as $wanted
  | [$facts | to_entries[] | .key as $namespace | .value.addr[]
      | select((.linkinfo.info_kind | IN("gre", "ipip")) and (.ifname | test("^(mgre|sync)[0-9]+$")))
      | .linkinfo.info_kind as $type | .linkinfo.info_data as $tunnel | . + {namespace: $namespace,
          id: "\($namespace) \(.ifname) \(if $type == "ipip" then $type else $tunnel.ikey end) \($tunnel.remote == "any")",
          ends: "\($tunnel.local) \($tunnel.remote) \($tunnel.encap | if . then "\(.type) \(.dport)" else "" end)",
          right: ($tunnel.ikey == $tunnel.okey)}] as $had
  | ($wanted | map({key: .id, value: true}) | from_entries) as $is_wanted
  | ($had | map(select(.right and $is_wanted[.id])) | map({key: .id, value: .}) | from_entries) as $kept

  | ($sets | map(.nftables[] | .set | select(.) | {key: .name, value: [.elem[]?
        | if type == "string" then . else .concat | "\(.[0]) . \(.[1])" + (if .[2] then " . \(.[2])" else "" end) end]})
      | from_entries) as $elements
  | set_commands("peers"; [$wanted[] | select(.type == "gre")
        | peer_elements(.peers)[], (select(.is_sync) | "\(.remote | address) . \(.key) . \(.address | other_end | to_int)")];
        $elements.peers // []),
      set_commands("remotes"; [$wanted[] | select(.type == "gre" and .remote != "any" and (.is_sync | not))
        | "\(.remote) . \(.key)"]; $elements.remotes // []),
      set_commands("ipip_peers"; [$wanted[] | select(.type == "ipip") | peer_elements(.peers)[]];
        $elements.ipip_peers // []),
      set_commands("ipip_remotes"; [$wanted[] | select(.type == "ipip" and .remote != "any") | .remote];
        $elements.ipip_remotes // []),
      set_commands("sources"; [$wanted[] | select(.namespace == "") | "\(.device) . \(.address | split("/")[0])"];
        $elements.sources // []),
    "\u001e",

    ($had | group_by(.namespace)[] | batch(.[0].namespace; map(select($kept[.id] | not) | "link del dev \(.ifname)"))),
    batch(""; [$facts[""].addr | nic_with($own) | gro($kind)]),
    batch(""; [$wanted[] | select($kept[.id] | not)
      | "link add name \(.device) mtu \(.mtu) \(settings)",
        (select(.namespace != "") | "link set dev \(.device) netns \(.namespace)")]),
    ($wanted[] | .device as $device | .address as $address | $kept[.id] as $link
      | (if $link and $link.ends != "\(.from) \(.remote) \(if .in_udp then "fou \($port)" else "" end)"
          then ["link change dev \($device) \(other_settings)"]
          else [] end) as $moved
      | [$link.addr_info[]? | select(.family == "inet") | "\(.local)/\(.prefixlen)"] as $addresses
      # With a primary address go its secondary ones, and with the last one all neighbours, permanent ones too: where the
      # first, and so primary, one is not the wanted one, all go, secondary ones first, and all neighbours come anew.
      | (($addresses[0] // $address) == $address) as $primary_stays
      | (if $primary_stays then $addresses[1:] else $addresses end | reverse) as $wrong
      | (if $link and $primary_stays | not then []
          elif .type == "ipip" then [$facts[.namespace].route[] | select(.dev == $device and .gateway) | "\(.dst) via \(.gateway)"]
          else [$facts[.namespace].neigh[] | select(.dev == $device) | "\(.dst) lladdr \(.lladdr)"] end) as $known
      | batch(.namespace;
          $moved
          # A change of its settings has the kernel choose another MTU.
          + (if $link and $link.mtu != .mtu or $moved != [] then ["link set dev \($device) mtu \(.mtu)"] else [] end)
          + ($wrong | map("addr del \(.) dev \($device)"))
          # With IPIP an overlay address that nobody has would be asked for in the underlay, if a route led there.
          + (if $addresses[0] == $address then []
            else ["addr add \($address) dev \($device)\(if .type == "ipip" and .remote == "any" then " noprefixroute" else "" end)"] end)
          + (if $link.flags // [] | index("UP") then [] else ["link set dev \($device) up"] end)
          + way_commands(ways(.peers); $known)))
'

start "$@"
