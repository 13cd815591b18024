#!/usr/bin/env bash
# GRE tunnels with a key per tenant, and the guard of their mouths.
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
# state: {"own": "192.168.4.4", "local": "192.168.4.100", "underlay_mtu": 9001, "tunnels": [{"tenant",
#   "namespace": "tenant-alpha" | null, "device", "key", "remote": "192.168.4.4" | null, "address": "10.0.0.3/24",
#   "peers": [{"overlay", "underlay"}]}]}
# own: by which this host is known, and what a device with a remote sends from. local: what the others send from, and are
# reached at; a pair's HaVip, which may be somewhere else now. Without `own` both are the same.
#
# A device is made in the root namespace, where its packets stay, and moved into the tenant's. A tenant whose namespace
# user_eni has not made, or has taken away, has no tunnel, and none of its packets comes in. Other ends are changed in
# place: neighbours, routes and connections stay. A device's MTU is that of the NIC with the own address, or underlay_mtu
# if less, minus 28. A GRE packet comes in only if
#   - it has exactly a key: no checksum, no sequence number, and IPv4 inside;
#   - where there are many peers, or it is a sync link: its outer source, key and inner source belong together;
#   - where there is one: its outer source and key are the remote's.
# Into a func host's tunnel goes only what has the host's own overlay address, after any SNAT. All else is counted.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"

# Offsets in bits: flags and protocol 0, key 32, and, as nothing but the key is there, the inner source 64 + 96.
readonly GUARD='
  counter dropped { }
  set peers { typeof ip saddr . @th,32,32 . @th,160,32; }
  set remotes { typeof ip saddr . @th,32,32; }
  set sources { typeof oifname . ip saddr; }
  chain input {
    type filter hook input priority filter; policy accept;
    meta l4proto gre jump out_of_tunnels
  }
  chain out_of_tunnels {
    @th,0,32 0x20000800 ip saddr . @th,32,32 . @th,160,32 @peers accept
    @th,0,32 0x20000800 ip saddr . @th,32,32 @remotes accept
    counter name dropped drop
  }
  chain postrouting {
    type filter hook postrouting priority srcnat + 50; policy accept;
    oifname "mgre*" jump into_tunnels
  }
  chain into_tunnels {
    oifname . ip saddr @sources accept
    counter name dropped drop
  }'
# A proxy's root namespace has a leg in no tenant, and forwards nothing even if someone switches ip_forward on.
readonly NEVER_FORWARD='
  chain forward {
    type filter hook forward priority filter; policy drop;
    counter name dropped
  }'

main() {
  local guard=$GUARD underlay namespace
  ABSENT=()
  state '(.own // .local | address), (.tunnels[] | .namespace | select(.) | namespace)'
  underlay=${ROWS[0]} ROWS=("${ROWS[@]:1}")
  nic_with_address_is_there "$underlay"
  ((${#ROWS[@]} == 0)) || guard+=$NEVER_FORWARD
  networkd_ignores tunnels 'Name=mgre* sync* gre0 gretap0 erspan0'
  for namespace in "${ROWS[@]}"; do
    namespace_is_there "$namespace" || ABSENT+=("$namespace")
  done
  MISSING+=("${ABSENT[@]/#/namespace }")
  guard_and_tunnels_are "$guard"
  nothing_is_missing
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
  plan "$PLAN" --slurpfile sets "$RUN/sets" --arg absent "${ABSENT[*]}"
  # The kernel drops a device's routes with its addresses.
  [[ $(<"$RUN/plan") != *$'\n'@("link add "|"addr del ")* ]] || later_concerns_follow
  {
    guard_is "$1" "$guard_stands"
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
    commands=${commands%$'\n'}
    changed "nft ${commands//$'\n'/; }"
    ! is_for_real || nft -f - <<<"$commands"
  fi
}

# Its first record is for nft: what the sets lack and what they have too much. The others are for ip.
# shellcheck disable=SC2016 # $ is jq's
readonly PLAN='
  def elements($verb; $set):
    if . == [] then empty
    else "\($verb) element inet causeway_tunnel \($set) { \(.[0])", (.[1:][] | ", " + .), " }\n" end;
  def set_commands($set; $wanted; $had):
    ($had | without($wanted) | elements("delete"; $set)), ($wanted | without($had) | elements("add"; $set));

  # The other address of a /30.
  def other_end: split("/") | if .[1] == "30" then .[0] | to_int | . + ([0, 1, -1, 0][. % 4]) | from_int
    else error("sync link \(join("/")): not in a /30") end;

  $states[0] as $state | ($state.local | address) as $local | ($state.own // $local | address) as $own
  | kernel_facts as $facts
  | ($facts[""].addr | tunnel_mtu($state)) as $mtu
  | [$state.tunnels[] | {
      namespace: (if .namespace == null then "" else .namespace | namespace end),
      device: .device | checked("(mgre|sync)[0-9]{1,9}"; "tunnel device"),
      key: .key | whole(0; 4294967295),
      remote: (if .remote == null then "any" else .remote | address end),
      address: .address | network,
      peers: (.peers | select((map(.overlay) | addresses) and (map(.underlay) | addresses)))
    }
    # A remote is changed to another one in place, but not to none.
    | . + {id: "\(.namespace) \(.device) \(.key | from_int) \(.remote == "any")",
        is_sync: (.device | startswith("sync")),
        from: (if .remote == "any" then $local else $own end)}]
  | map(select(.namespace == "" or (.namespace | IN($absent | split(" ")[]) | not))) as $wanted
  | [$facts | to_entries[] | .key as $namespace | .value.addr[]
      | select(.linkinfo.info_kind == "gre" and (.ifname | test("^(mgre|sync)[0-9]+$")))
      | .linkinfo.info_data as $gre | . + {namespace: $namespace,
          id: "\($namespace) \(.ifname) \($gre.ikey) \($gre.remote == "any")",
          ends: "\($gre.local) \($gre.remote)",
          right: ($gre.ikey == $gre.okey)}] as $had
  | ($wanted | map({key: .id, value: true}) | from_entries) as $is_wanted
  | ($had | map(select(.right and $is_wanted[.id])) | map({key: .id, value: .}) | from_entries) as $kept

  | ($sets | map(.nftables[] | .set | select(.) | {key: .name, value: [.elem[]?.concat
        | if length == 3 then "\(.[0]) . \(.[1]) . \(.[2])" else "\(.[0]) . \(.[1])" end]})
      | from_entries) as $elements
  | set_commands("peers"; [$wanted[] | .key as $key
        | (.peers[] | "\(.underlay) . \($key) . \(.overlay | to_int)"),
          (select(.is_sync) | "\(.remote | address) . \($key) . \(.address | other_end | to_int)")];
        $elements.peers // []),
      set_commands("remotes"; [$wanted[] | select(.remote != "any" and (.is_sync | not)) | "\(.remote) . \(.key)"];
        $elements.remotes // []),
      set_commands("sources"; [$wanted[] | select(.namespace == "") | "\(.device) . \(.address | split("/")[0])"];
        $elements.sources // []),
    "\u001e",

    ($had | group_by(.namespace)[] | batch(.[0].namespace; map(select($kept[.id] | not) | "link del dev \(.ifname)"))),
    batch(""; [$wanted[] | select($kept[.id] | not)
      | "link add name \(.device) type gre local \(.from) \(if .remote == "any" then "" else "remote \(.remote) " end)key \(.key) ttl 64",
        (select(.namespace != "") | "link set dev \(.device) netns \(.namespace)")]),
    ($wanted[] | .device as $device | .address as $address | $kept[.id] as $link
      | (if $link and $link.ends != "\(.from) \(.remote)"
          then ["link change dev \($device) type gre local \(.from) remote \(.remote) key \(.key) ttl 64"]
          else [] end) as $moved
      | [$link.addr_info[]? | select(.family == "inet") | "\(.local)/\(.prefixlen)"] as $addresses
      # With a primary address go its secondary ones, and with the last one all neighbours, permanent ones too: where the
      # first, and so primary, one is not the wanted one, all go, secondary ones first, and all neighbours come anew.
      | (($addresses[0] // $address) == $address) as $primary_stays
      | (if $primary_stays then $addresses[1:] else $addresses end | reverse) as $wrong
      | (if $link and $primary_stays
          then [$facts[.namespace].neigh[] | select(.dev == $device) | "\(.dst) lladdr \(.lladdr)"]
          else [] end) as $known
      | [.peers[] | "\(.overlay) lladdr \(.underlay)"] as $peers | [.peers[].overlay] as $overlays
      | batch(.namespace;
          $moved
          + (if $link.mtu != $mtu then ["link set dev \($device) mtu \($mtu)"] else [] end)
          + ($wrong | map("addr del \(.) dev \($device)"))
          + (if $addresses[0] == $address then [] else ["addr add \($address) dev \($device)"] end)
          + (if $link.flags // [] | index("UP") then [] else ["link set dev \($device) up"] end)
          + ($known | without($peers) | if . == [] then [] else map(split(" ")[0]) | without($overlays) end
            | map("neigh del \(.) dev \($device)"))
          + ($peers | without($known) | map("neigh replace \(.) dev \($device) nud permanent"))))
'

start "$@"
