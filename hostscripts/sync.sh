#!/usr/bin/env bash
# The other proxy knows every open connection of this one: a conntrackd in each tenant's namespace.
#
#   namespace tenant-alpha, proxy-0                                  namespace tenant-alpha, proxy-1
#   conntrack ── events ── conntrackd ── sync1, UDP 3780, FTFW ── conntrackd ──▶ conntrack
#
# state: {"tenants": [{"tenant", "namespace", "device": "sync1", "address": "169.254.254.1", "peer": "169.254.254.2"}]}
#
# The service of a namespace is causeway-sync@NAMESPACE. Its configuration stands in /run/causeway/sync. What comes from the
# other side goes into the kernel at once (DisableExternalCache): nothing is left to commit when it is needed. (Committing
# 1,000 entries takes 25 ms on a machine, some ten times that in an emulated guest, on the way of every failover.) The price:
# entries of the standby are forgotten by its kernel when their time is over there, so the watcher of the pair has the
# active one tell all of them again every minute. UDP, ICMP, and TCP once it is open, half closed or over,
# with their translations. No windows are compared
# afterwards: `forward` has conntrack be liberal, and believe flows whose beginning it has not seen.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"

readonly DIRECTORY=$RUN/sync PORT=3780

main() {
  local row
  state '.tenants[] | "\(.namespace | namespace) \(.device | checked("sync[0-9]{1,9}"; "sync device")) \(.address | address) \(
    .peer | address)"'
  [[ -d $DIRECTORY ]] || mkdir -p "$DIRECTORY"
  unwanted_services_are_gone
  services_are_known
  for row in "${ROWS[@]}"; do
    # shellcheck disable=SC2086 # checked words
    tenant_is_synced $row
  done
  nothing_is_missing
}

unwanted_services_are_gone() {
  local file namespace
  for file in "$DIRECTORY"/*.conf; do
    [[ -f $file ]] || continue
    namespace=${file##*/} namespace=${namespace%.conf}
    [[ " ${ROWS[*]/% */} " == *" $namespace "* ]] || service_is_gone "$namespace"
  done
}

service_is_gone() {
  run systemctl stop "causeway-sync@$1.service"
  systemctl reset-failed "causeway-sync@$1.service" 2>/dev/null || true
  rm -f "$DIRECTORY/$1".*
}

# PIDS: by namespace, of services that run.
services_are_known() {
  local units=() line id='' pid='' state=''
  declare -gA PIDS=()
  ((${#ROWS[@]})) || return 0
  units=("${ROWS[@]/% */}")
  units=("${units[@]/#/causeway-sync@}")
  while IFS= read -r line; do
    case $line in
      Id=*) id=${line#Id=causeway-sync@} ;;
      MainPID=*) pid=${line#MainPID=} ;;
      ActiveState=*) state=${line#ActiveState=} ;;
    esac
    if [[ -n $id && -n $pid && -n $state ]]; then
      [[ $state != active ]] || PIDS[${id%.service}]=$pid
      id='' pid='' state=''
    fi
  done < <(systemctl show --property=Id,MainPID,ActiveState "${units[@]/%/.service}")
}

tenant_is_synced() {
  local namespace=$1 device=$2 address=$3 peer=$4 file=$DIRECTORY/$1.conf present='' wanted
  if ! namespace_is_there "$namespace" || ! inside "$namespace" link_is_there "$device"; then
    MISSING+=("$device in $namespace")
    return 0
  fi
  wanted=$(configuration "$@")
  [[ ! -f $file ]] || present=$(<"$file")
  if [[ $wanted == "$present" && -n ${PIDS[$namespace]:-} ]] && service_is_inside "$namespace"; then return; fi
  changed "synchronisation of $namespace with $peer over $device, from $address"
  printf '%s\n' "$wanted" >"$file"
  systemctl restart "causeway-sync@$namespace.service" || MISSING+=("a conntrackd in $namespace")
}

link_is_there() { [[ $(ip -br link show dev "$1" up 2>/dev/null) == *[![:space:]]* ]]; }

# A namespace that was made anew has its name again, but the process is still in the old one.
service_is_inside() { [[ $ROOT/proc/${PIDS[$1]}/ns/net -ef $ROOT/run/netns/$1 ]]; }

configuration() {
  local namespace=$1 device=$2 address=$3 peer=$4
  cat <<END
Sync {
  Mode FTFW {
    ResendQueueSize 131072
    ACKWindowSize 50
    DisableExternalCache On
  }
  UDP {
    IPv4_address $address
    IPv4_Destination_Address $peer
    Port $PORT
    Interface $device
    SndSocketBuffer 4194304
    RcvSocketBuffer 4194304
    Checksum On
  }
}
General {
  Systemd On
  HashSize 32768
  HashLimit 524288
  Syslog On
  LockFile $DIRECTORY/$namespace.lock
  UNIX {
    Path $DIRECTORY/$namespace.ctl
  }
  NetlinkBufferSize 4194304
  NetlinkBufferSizeMaxGrowth 33554432
  NetlinkOverrunResync 2
  Filter From Kernelspace {
    Protocol Accept {
      TCP
      UDP
      ICMP
    }
    Address Ignore {
      IPv4_address 127.0.0.1
      IPv4_address $address
      IPv4_address $peer
    }
    State Accept {
      ESTABLISHED FIN_WAIT CLOSE_WAIT TIME_WAIT CLOSE for TCP
    }
  }
}
END
}

start "$@"
