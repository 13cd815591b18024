#!/usr/bin/env bash
# Says, line by line, whether the data path of one network namespace is whole, and whether it has the HaVip.
#
#   pair_health.sh NAME NIC MAC ADDRESS HAVIP TUNNEL TABLE…      run inside the namespace, by pair_watch.sh
#
#   health NAME ok        what is checked has been right for a second
#   health NAME WHAT      it is wrong, and WHAT
#   kernel NAME 0|1       the HaVip is an address here, or is not; once a second at least
#
# ADDRESS, where it is not "-", is one that has to be here. TUNNEL is "-" in the root namespace, which forwards nothing.
# Five times a second, without a single fork: only files of the kernel are read; the list of
# addresses once a second. The nft tables, which no file tells, are looked for every five seconds.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"
set +eEu
trap - ERR

readonly NAME=$1 NIC=$2 MAC=$3 ADDRESS=$4 HAVIP=$5 TUNNEL=$6 TABLES=("${@:7}")
readonly NET=$ROOT/sys/class/net PROC=$ROOT/proc
readonly PERIOD_S=0.2 GOOD_AFTER=5 TABLES_EVERY=25 ADDRESSES_EVERY=5 # in rounds

main() {
  local never said='' good=0 round=0 tables='' had=''
  exec {never}<> <(:) # nothing ever comes from it: sleeps without a process
  while :; do
    ((round % TABLES_EVERY)) || tables=$(what_is_wrong_with_tables)
    ((round % ADDRESSES_EVERY)) || addresses_are_read
    WRONG=
    path_is_checked
    [[ -z $tables ]] || wrong "$tables"
    if [[ -z $WRONG ]]; then
      good=$((good + 1))
    else
      good=0
    fi
    if [[ $good -ge $GOOD_AFTER && $said != ok ]]; then
      said=ok
      echo "health $NAME ok"
    elif [[ -n $WRONG && $said != "$WRONG" ]]; then
      said=$WRONG
      echo "health $NAME $said"
    fi
    if ((round++ % ADDRESSES_EVERY == 0)) || [[ $HAS_HAVIP != "$had" ]]; then
      had=$HAS_HAVIP
      echo "kernel $NAME $had"
    fi
    read -r -t "$PERIOD_S" -u "$never"
  done
}

# WRONG is the first thing that is.
path_is_checked() {
  local address carrier=0 forward=0
  HAS_HAVIP=0
  if ! { read -r address <"$NET/$NIC/address"; } 2>/dev/null || [[ $address != "$MAC" ]]; then
    WRONG="$NIC is not there"
    return
  fi
  { read -r carrier <"$NET/$NIC/carrier"; } 2>/dev/null # cannot be read while the device is down
  device_is_up "$NIC" || wrong "$NIC is down"
  [[ $carrier == 1 ]] || wrong "$NIC has no carrier"
  [[ $ADDRESS == - || $LOCAL == *" $ADDRESS "* ]] || wrong "$NIC has lost $ADDRESS"
  [[ $LOCAL != *" $HAVIP "* ]] || HAS_HAVIP=1
  [[ $TUNNEL != - ]] || return
  device_is_up "$TUNNEL" || wrong "$TUNNEL is down, or not there"
  read -r forward <"$PROC/sys/net/ipv4/ip_forward"
  [[ $forward == 1 ]] || wrong "ip_forward is off"
  if ! has_route "$NIC" || ! has_route "$TUNNEL"; then wrong "a route is not there"; fi
}

wrong() { WRONG=${WRONG:-$1}; }

device_is_up() {
  local flags=0
  { read -r flags <"$NET/$1/flags"; } 2>/dev/null
  ((flags & 1))
}

# LOCAL has the local addresses, each between blanks.
addresses_are_read() {
  local trie line address=''
  LOCAL=' '
  mapfile -t trie <"$PROC/net/fib_trie"
  for line in "${trie[@]}"; do
    case $line in
      *'|-- '*) address=${line##*|-- } ;;
      *'/32 host LOCAL') LOCAL+="$address " ;;
    esac
  done
}

has_route() {
  local routes
  IFS= read -r -d '' routes <"$PROC/net/route"
  [[ $routes == *$'\n'"$1"$'\t'* ]]
}

what_is_wrong_with_tables() {
  local found table
  found=$(nft list tables 2>&1)
  for table in "${TABLES[@]}"; do
    [[ $found == *"table $table"* ]] || echo "nft table ${table#* } is not there"
  done
}

main
