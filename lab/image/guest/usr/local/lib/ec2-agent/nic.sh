# shellcheck shell=bash
# The machine's NICs: brought up when they appear, the primary one addressed. NICs are told apart by MAC.

declare -A NIC_SEEN=() # ifindex → name, of every NIC that was brought up; it is left alone from then on
declare -A NIC_MAC=()  # name → MAC, of the NICs that are here now
METADATA_ROUTES=       # `ip` commands that undo what metadata_route added

# As long as the machine is not online each new NIC also gets a route to the metadata service, which answers
# through any of them; which one is the primary is not known before.
new_nics_are_up() {
  local path name index mac batch=
  NIC_MAC=()
  for path in /sys/class/net/*/device; do
    path=${path%/device}
    name=${path##*/}
    # No NIC at all, or one that goes away at this moment.
    { read -r index <"$path/ifindex" && read -r mac <"$path/address"; } 2>/dev/null || continue
    NIC_MAC[$name]=$mac
    [[ -n ${NIC_SEEN[$index]-} ]] && continue
    NIC_SEEN[$index]=$name
    batch+="link set dev $name up"$'\n'
    if [[ ! -e $RUN/online ]]; then
      metadata_route "$name" "$index" "$mac"
      batch+=$REPLY
    fi
  done
  [[ -z $batch ]] || ip -force -batch - <<<"$batch"
}

# metadata_route NAME INDEX MAC: REPLY is the commands that make it, from an address that nobody assigned (RFC
# 3927, made from the MAC). The metric keeps the routes of two NICs apart.
metadata_route() {
  local -a byte
  IFS=: read -ra byte <<<"$3"
  local address=169.254.$((16#${byte[4]} % 128 + 1)).$((16#${byte[5]}))
  REPLY="addr add $address/32 dev $1 scope link"$'\n'
  REPLY+="route add $IMDS_ADDRESS/32 dev $1 scope link src $address metric $2"$'\n'
  METADATA_ROUTES+="addr del $address/32 dev $1"$'\n'
}

# primary_nic_is_addressed: device number 0 has its primary address and the default route through the subnet's
# router, and the routes to the metadata service are gone. Fails if that NIC or what is known of it is not there
# yet.
primary_nic_is_addressed() {
  local name mac address prefix
  for name in "${!NIC_MAC[@]}"; do
    mac=meta-data/network/interfaces/macs/${NIC_MAC[$name]}
    imds "$mac/device-number" && [[ $IMDS_BODY == 0 ]] || continue
    imds "$mac/local-ipv4s" || return 1
    address=${IMDS_BODY%%[[:space:]]*}
    imds "$mac/subnet-ipv4-cidr-block" || return 1
    prefix=${IMDS_BODY%%[[:space:]]*}
    router_of "$prefix"
    ip -force -batch - <<END
$METADATA_ROUTES
addr replace $address/${prefix#*/} broadcast + dev $name
route replace default via $REPLY dev $name
END
    METADATA_ROUTES=
    return 0
  done
  return 1
}

# router_of PREFIX: REPLY is the first host address, where a VPC's router is.
router_of() {
  local -a byte
  IFS=. read -ra byte <<<"${1%/*}"
  REPLY=${byte[0]}.${byte[1]}.${byte[2]}.$((byte[3] + 1))
}
