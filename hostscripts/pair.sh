#!/usr/bin/env bash
# One of two proxies: keepalived says which one should be active, pair_watch.py makes it so.
#
#   proxy-0 192.168.4.4 ◀── VRRP, unicast, an advert every 100 ms ──▶ proxy-1 192.168.4.5
#       └── the active one has the HaVips: 192.168.4.100 and, in each tenant's namespace, 172.16.101.100
#
# state: {"own", "peer", "index": 0 | 1, "advert_ms": 300, "virtual_router_id": 51, "region": "us-east-1",
#   "api": {"url": "https://ec2.us-east-1.amazonaws.com", "connect_to": "192.168.4.200" | null},
#   "havips": [{"name": "platform", "namespace": null, "device": null, "eni_id", "mac" | null, "address"},
#              {"name": "alpha", "namespace": "tenant-alpha", "device": "user1", "eni_id", "mac" | null, "address"}],
#   "tenants": [{"namespace": "tenant-alpha", "tunnel": "mgre1", "user": "user1", "sync": "sync1"}]}
# {"peer": null}: no pair. Services and tables go. A HaVip that AWS still has here stays in the kernel until the next boot:
# connections translated to it live on.
#
# In /run/causeway/pair, for the services causeway-pair (pair_watch.py) and causeway-keepalived: watch.conf and
# keepalived.conf. A proxy that is active stays so whatever changes, except in keepalived.conf or a unit.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"

readonly DIRECTORY=$RUN/pair
readonly UNITS=(causeway-pair.service causeway-keepalived.service) # in the order of starting

# Adverts (VRRP is protocol 112) of the other proxy only; not even those while `unheard` holds it. pair_watch.py fills that.
readonly TABLE='
  counter dropped { }
  counter heard { }
  set unheard { type ipv4_addr; }
  chain input {
    type filter hook input priority filter; policy accept;
    ip protocol 112 ip saddr != %s counter name dropped drop
    ip protocol 112 counter name heard
    ip protocol 112 ip saddr @unheard drop
  }'

main() {
  local own peer device mac
  state '.peer | if . == null then "-" else address end'
  peer=${ROWS[0]}
  if [[ $peer == - ]]; then
    pair_is_gone
    return
  fi
  state '.own | address'
  own=${ROWS[0]}
  nic_with_address_is_there "$own"
  # shellcheck disable=SC2016 # $ is jq's
  read -r mac device < <(jq -r -n "$CHECKS"' kernel_facts[""].addr[]
    | select(any(.addr_info[]; .local == $own)) | "\(.address | mac) \(.ifname | checked("[A-Za-z0-9._-]{1,15}"; "device"))"
  ' --arg own "$own" "$RUN/facts")
  # shellcheck disable=SC2059 # a format
  table_is inet causeway_pair "$(printf "$TABLE" "$peer")"
  [[ -d $DIRECTORY ]] || mkdir -p "$DIRECTORY"
  fifo_is_there
  configurations_are "$device" "$mac"
  services_run
}

fifo_is_there() {
  [[ -p $DIRECTORY/events ]] || run mkfifo "$DIRECTORY/events"
  [[ -f $DIRECTORY/aside ]] || echo 1 >"$DIRECTORY/aside"
}

# Marks `restart_due` and `renew_due`: of whom the change concerns. They last until that is done, whatever fails before.
configurations_are() {
  local text
  state "$(printf 'def nic: "%s"; def primary: "%s";' "$1" "$2") $WATCH_CONF"
  printf -v text '%s\n' "${ROWS[@]}"
  text+="programs $(cat "$HERE"/pair_*.py | cksum)"$'\n'
  file_is "$DIRECTORY/watch.conf" "$text" "$DIRECTORY/renew_due"
  state "$(printf 'def nic: "%s";' "$1") $KEEPALIVED_CONF"
  printf -v text '%s\n' "${ROWS[@]}"
  file_is "$DIRECTORY/keepalived.conf" "$text" "$DIRECTORY/restart_due"
}

# file_is PATH TEXT MARK
file_is() {
  ! file_says "$1" "$2" || return 0
  changed "${1#"$ROOT"} written"
  : >"$3"
  printf '%s' "$2" >"$1.new"
  mv "$1.new" "$1"
}

# shellcheck disable=SC2016 # $ is jq's
readonly WATCH_CONF='
  def name: checked("[a-z0-9][a-z0-9-]{0,62}"; "name");
  def eni: checked("eni-[0-9a-f]{1,40}"; "ENI");
  (.tenants | map({key: .namespace, value: .}) | from_entries) as $tenants
  | "own \(.own | address)", "peer \(.peer | address)", "index \(.index | whole(0; 1))",
    "advert_ms \(.advert_ms | whole(20; 10000))",
    "region \(.region | checked("[a-z]{2}(-[a-z]+)+-[0-9]{1,2}"; "region"))",
    "url \(.api.url | checked("https?://[A-Za-z0-9.-]{1,200}(:[0-9]{1,5})?/?"; "URL of the API"))",
    "connect_to \(if .api.connect_to == null then "-" else .api.connect_to | address end)",
    (.havips[] | if .namespace == null
      then "havip \(.name | name) - \(nic) \(.mac // primary | mac) \(.eni_id | eni) \(.address | address)"
      else "havip \(.name | name) \(.namespace | namespace) \(.device | user_device) \(.mac | mac) \(.eni_id | eni) \(.address | address)"
        | if $tenants[split(" ")[2]] then . else error("\(.): its namespace is no tenant of this pair") end
      end),
    (if [.havips[] | select(.namespace == null)] | length == 1 then empty else error("not one HaVip in the root namespace") end),
    (.tenants[] | "tenant \(.namespace | namespace) \(.tunnel | tunnel_device)")
'

# Not one virtual address: AWS knows nothing of ARP. Adverts of one priority, so that nobody has a claim to be active;
# 254 because that makes the other wait least. Real time from the start, not only once adverts were late, as
# max_auto_priority has it; that goes to priority 1 then. A real-time process that computes for 10 ms without a pause, which
# an emulated or busy machine makes of much less, would be killed: it may for 5 s. A start hears nothing until it is through,
# 0.3 s emulated, while the time without adverts runs already: it took over from a well active one, hence the delay.
# shellcheck disable=SC2016 # $ is jq's
readonly KEEPALIVED_CONF='
  (.advert_ms | whole(20; 10000)) as $advert_ms
  | "global_defs {",
    "  router_id causeway",
    "  enable_script_security",
    "  script_user root",
    "  vrrp_version 3",
    "  vrrp_startup_delay 1",
    "  vrrp_rt_priority 20",
    "  vrrp_rlimit_rttime 5000000",
    "  vrrp_no_swap",
    "  notify_fifo /run/causeway/pair/events",
    "}",
    "track_file aside {",
    "  file /run/causeway/pair/aside",
    "  weight 0",
    "}",
    "vrrp_instance causeway {",
    "  state BACKUP",
    "  nopreempt",
    "  interface \(nic)",
    "  virtual_router_id \(.virtual_router_id | whole(1; 255))",
    "  priority 254",
    "  advert_int \($advert_ms / 1000)",
    "  unicast_src_ip \(.own | address)",
    "  unicast_peer {",
    "    \(.peer | address)",
    "  }",
    "  track_file {",
    "    aside",
    "  }",
    "  no_virtual_ipaddress",
    "}"
'

services_run() {
  local unit
  units_are_known
  if [[ -f $DIRECTORY/restart_due ]]; then
    run systemctl daemon-reload
    run systemctl restart "${UNITS[@]}"
    rm -f "$DIRECTORY"/{restart,renew}_due
    return
  fi
  for unit in "${UNITS[@]}"; do
    systemctl is-active --quiet "$unit" || run systemctl start "$unit"
  done
  [[ ! -f $DIRECTORY/renew_due ]] || watcher_is_renewed
}

units_are_known() {
  local text
  text=$(cd "$ROOT/etc/systemd/system" && cksum "${UNITS[@]}")
  file_is "$DIRECTORY/units" "$text" "$DIRECTORY/restart_due"
}

# It reads its file again, and goes on as what it is.
watcher_is_renewed() {
  changed "the watcher is renewed"
  echo renew 1<>"$DIRECTORY/events"
  rm -f "$DIRECTORY/renew_due"
}

pair_is_gone() {
  if [[ -d $DIRECTORY ]]; then
    [[ ! -f $DIRECTORY/watch.conf ]] || run systemctl stop causeway-keepalived.service causeway-pair.service
    changed "no pair any more"
    rm -rf "$DIRECTORY"
  fi
  table_is_gone inet causeway_pair
}

start "$@"
