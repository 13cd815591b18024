#!/usr/bin/env bash
# A proxy's user ENIs, each in its tenant's namespace.
#
#      root namespace                        namespace tenant-alpha
#      eth0 192.168.4.4                      lo
#      eth1 ────── found by its MAC ──────▶  user1 172.16.101.10/24 ── the subnet's router, 172.16.101.1
#
# state: {"tenants": [{"name", "namespace", "device", "mac", "address": "172.16.101.10" | null, "destinations": […]}]}
# An address that is null is the primary one that the instance metadata names; "mtu" (9001, a VPC's) may be given.
# Destinations outside the subnet go through its router. Of a tenant that is no longer there, the NIC is back in the
# root namespace, down, and the namespace is gone with its tunnel: nobody else makes or deletes namespaces. Tenants whose
# NIC is not there do not keep the others waiting.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"

readonly DEADLINE_S=${CAUSEWAY_NIC_DEADLINE_S:-60} # for a NIC to be attached, all of them together
ABSENT=()                                          # MACs it passed for

main() {
  state '.tenants[] | "\(.mac | mac) \(.namespace | namespace) \(.device | user_device)"'
  networkd_ignores user-eni-at-home 'Name=eni????????????' # what plan_is_done sends home
  metadata_is_known
  namespaces_exist
  plan_is_done
  unwanted_namespaces_are_gone
  if nics_were_moved_in; then plan_is_done; fi
  ((${#ABSENT[@]} == 0)) || die "not attached to this instance: ${ABSENT[*]}"
}

namespaces_exist() {
  local row namespace
  for row in "${ROWS[@]}"; do
    read -r _ namespace _ <<<"$row"
    namespace_exists "$namespace"
  done
}

unwanted_namespaces_are_gone() {
  local namespace
  for namespace in "${TENANT_NAMESPACES[@]}"; do
    [[ "${ROWS[*]} " != *" $namespace "* ]] || continue
    run ip netns delete "$namespace"
    ! is_for_real || rm -f "$RUN/tables/$namespace".*
  done
}

# ── what the metadata says about each NIC ─────────────────────────────────────────────────────────────────────────

# METADATA has a line `MAC SUBNET ADDRESS…` per NIC that is attached, the primary address first.
metadata_is_known() {
  METADATA=()
  ((${#ROWS[@]})) || return 0
  wait_for "$DEADLINE_S" "the metadata of ${ROWS[*]/% */}" all_are_attached || true
  local row mac of
  for row in "${ROWS[@]}"; do
    mac=${row%% *} of=network/interfaces/macs/${row%% *}
    if [[ -z ${IMDS["$of/subnet-ipv4-cidr-block"]:-} ]]; then
      ABSENT+=("$mac")
    elif [[ ${IMDS["$of/device-number"]:-} == 0 ]]; then
      die "$mac is this instance's primary NIC, not a user ENI"
    else
      METADATA+=("$mac ${IMDS["$of/subnet-ipv4-cidr-block"]} ${IMDS["$of/local-ipv4s"]//$'\n'/ }")
    fi
  done
}

all_are_attached() {
  local row of paths=()
  for row in "${ROWS[@]}"; do
    of=network/interfaces/macs/${row%% *}
    paths+=("$of/device-number" "$of/subnet-ipv4-cidr-block" "$of/local-ipv4s")
  done
  imds "${paths[@]}" || return 1
  for row in "${ROWS[@]}"; do
    [[ -n ${IMDS["network/interfaces/macs/${row%% *}/subnet-ipv4-cidr-block"]:-} ]] || return 1
  done
}

# ── the NICs ──────────────────────────────────────────────────────────────────────────────────────────────────────

# NICs that are not inside yet, though attached, are moved in. False if there was none.
nics_were_moved_in() {
  local row mac namespace device moved=1
  for row in "${ROWS[@]}"; do
    read -r mac namespace device <<<"$row"
    [[ " ${INSIDE} ${ABSENT[*]} " != *" $mac "* ]] || continue
    no_service_keeps_the_one_before "$namespace"
    if nic_is_moved_in "$mac" "$namespace" "$device"; then moved=0; else ABSENT+=("$mac"); fi
  done
  return "$moved"
}

# A conntrackd that was started in a namespace of this name that is no more keeps that one there, and the NIC in it.
no_service_keeps_the_one_before() {
  local service=causeway-sync@$1.service pid
  [[ -f $RUN/sync/$1.conf ]] || return 0
  pid=$(systemctl show --property=Id,MainPID,ActiveState "$service" | sed -n 's/^MainPID=//p')
  [[ ! -e $ROOT/proc/$pid/ns/net || $ROOT/proc/$pid/ns/net -ef $ROOT/run/netns/$1 ]] || run systemctl stop "$service"
}

nic_is_moved_in() {
  local left=$((DEADLINE_S - SECONDS))
  wait_for $((left > 1 ? left : 1)) "a NIC with MAC $1" nic_is_found "$1" || return 1
  # Whatever configured it here meanwhile, its addresses and routes stay behind and are gone, a default route too.
  later_concerns_follow
  run ip link set dev "$NIC" netns "$2" name "$3" || die "$NIC ($1) cannot be moved to $2"
}

# NIC is its name in the root namespace, whatever the kernel or udev chose. Devices stacked on it share its MAC.
nic_is_found() {
  local file mac
  for file in "$ROOT"/sys/class/net/*/address; do
    { read -r mac <"$file"; } 2>/dev/null || continue
    [[ $mac == "$1" ]] || continue
    NIC=${file%/address}
    compgen -G "$NIC/lower_*" >/dev/null && continue
    NIC=${NIC##*/}
    return
  done
  return 1
}

# Sends NICs home that the state does not want where they are, and configures those that are in their place. INSIDE
# is the MACs of the latter. A NIC at home is named for its MAC, until it is detached.
plan_is_done() {
  tenant_namespaces
  kernel_facts "${TENANT_NAMESPACES[@]}" >"$RUN/facts"
  # shellcheck disable=SC2016 # $ is jq's
  plan '
    kernel_facts as $facts
    | ($metadata | split("\n") | map(select(. != "") | split(" ") | {key: .[0], value: {
        subnet: .[1] | network, address: .[2]}}) | from_entries) as $metadata
    | [$states[0].tenants[] | . + {id: "\(.namespace) \(.device) \(.mac | mac)"}] as $tenants
    | [$facts | to_entries[] | .key as $namespace | .value.addr[]
        | select(.link_type == "ether" and
            ((.ifname | test("^user[0-9]+$")) or (.address | IN($tenants[].mac | ascii_downcase))))
        | . + {namespace: $namespace, id: "\($namespace) \(.ifname) \(.address)"}] as $nics
    | ([$nics[] | select(.id | IN($tenants[].id)) | .address] | join(" ")), "\u001e",

    ($nics[] | select(.id | IN($tenants[].id) | not) | batch(.namespace; ["link set dev \(.ifname) down",
      "link set dev \(.ifname) netns \($root) name eni\(.address | gsub(":"; ""))"])),

    # The kernel takes a namespace apart some time after it was deleted; until then nobody else can have the key.
    ($facts | to_entries[] | select(.key | . != "" and (IN($tenants[].namespace) | not)) | batch(.key;
      [.value.addr[].ifname | select(test("^(mgre|sync)[0-9]+$")) | "link del dev \(.)"])),

    ($tenants[] | . as $tenant | .namespace as $namespace | .device as $device
    | first($nics[] | select(.id == $tenant.id)) as $link
    | ($metadata[$link.address] // empty) as $eni
    | ([(.mtu // 9001 | whole(576; 65535)), ($link.max_mtu // 0 | select(. > 0))] | min) as $mtu
    | "\($tenant.address // $eni.address | address)/\($eni.subnet | prefix_length)" as $address
    | [$link.addr_info[] | select(.family == "inet") | {at: "\(.local)/\(.prefixlen)", mark: .label}] as $had
    | ([$had[] | select(.mark == "\($device):cw" and .at != $address) | "addr del \(.at) dev \($device)"]
      + (if any($had[]; .at == $address) then [] else ["addr add \($address) dev \($device) label \($device):cw"] end))
      as $addressing
    | [$tenant.destinations[] | network | select(. as $to | $eni.subnet | contains_network($to) | not) | as_route
        | "\(.) via \($eni.subnet | first_host) dev \($device)"] as $routes
    | (if $addressing == [] and ($link.flags | index("UP")) then [$facts[$namespace].route[]
        | select(.protocol == $protocol and .dev == $device) | "\(.dst) via \(.gateway) dev \(.dev)"]
      else [] end) as $routed
    | batch($namespace;
        (if $link.mtu != $mtu then ["link set dev \($device) mtu \($mtu)"] else [] end)
        + $addressing
        + (if $link.flags | index("UP") then [] else ["link set dev \($device) up"] end)
        + ($routed | without($routes) | map("route del \(.) proto \($protocol)"))
        + ($routes | without($routed) | map("route replace \(.) proto \($protocol)"))))
  ' --arg root "$$" --arg metadata "$(printf '%s\n' "${METADATA[@]}")" --arg protocol "$PROTOCOL"
  {
    IFS= read -r -d $'\x1e' INSIDE
    run_batches
  } <"$RUN/plan"
}

start "$@"
