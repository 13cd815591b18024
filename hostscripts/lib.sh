# shellcheck shell=bash disable=SC2034 # what seems unused, the scripts use
# What every concern shares. Sourced, never run.
#
#   /opt/causeway     scripts             /run/causeway/lock       one apply at a time
#   /etc/causeway     desired state       /run/causeway/applied    what this boot has applied, per concern
#                                         /run/causeway/pending    concerns that an earlier one made incomplete
#
# Causeway's own in a host's kernel, and so reconciled: namespaces tenant-*, devices mgre* and sync*, bridges cw-*, the NICs
# that the state names, nft tables causeway_*, routes and rules with protocol 201, addresses labelled :cw and :ha. Nothing
# else is touched.

set -eEuo pipefail
umask 077

# The two overrides exist for the tests: sudo and systemd pass neither on.
export PATH=${CAUSEWAY_PATH:-/usr/sbin:/usr/bin:/sbin:/bin} LC_ALL=C
readonly ROOT=${CAUSEWAY_ROOT:-}

readonly HERE=$ROOT/opt/causeway ETC=$ROOT/etc/causeway RUN=$ROOT/run/causeway
CONCERN=${0##*/}
readonly CONCERN=${CONCERN%.sh}
readonly STATE=$ETC/$CONCERN.json
readonly PROTOCOL=201 # marks our routes; nobody's in iproute2's rt_protos
NAMESPACE=${NAMESPACE:-}
# yes: what would change is said, and nothing is done, see `apply --check`
readonly ONLY_SAY=${CAUSEWAY_ONLY_SAY:-no}

readonly SAID_AT_MOST=20                                                                       # of thousands of changes of one kind
readonly CONCERNS=(packages input user_eni container tunnel sync nat forward pair routes echo) # the order of applying

# ── saying and failing ────────────────────────────────────────────────────────────────────────────────────────────

say() { printf 'causeway: %s: %s\n' "$CONCERN" "$*"; }

die() {
  trap - ERR
  printf 'causeway: %s: error: %s\n' "$CONCERN" "$*" >&2
  exit 1
}
trap 'die "${BASH_SOURCE[0]##*/}:$LINENO: failed: $BASH_COMMAND"' ERR

# A change was made, or is about to be. The mark is a file because it must survive subshells and namespaces.
changed() {
  say "$*"
  ! is_for_real || echo yes >"$RUN/changed"
}

is_for_real() { [[ $ONLY_SAY == no ]]; }

# A device or namespace is about to be made anew, and what later concerns put on it will be gone: until each of them has
# been applied again, every apply brings it along.
later_concerns_follow() {
  local concern later=no
  is_for_real || return 0
  for concern in "${CONCERNS[@]}"; do
    [[ $later == no || ! -f $ETC/$concern.json ]] || : >"$RUN/pending/$concern"
    [[ $concern != "$CONCERN" ]] || later=yes
  done
}

run() {
  changed "$*"
  ! is_for_real || "$@"
}

# wait_for SECONDS WHAT PREDICATE…: false, and said, once the deadline has passed.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    if ((SECONDS >= deadline)); then
      say "waited in vain for $what" >&2
      return 1
    fi
    sleep 0.2
  done
}

# ── state ─────────────────────────────────────────────────────────────────────────────────────────────────────────

# jq definitions that every program starts with. What leaves a state file for a command line passes one of the checks.
# shellcheck disable=SC2016 # $ is jq's
readonly CHECKS='
  def checked($pattern; $what):
    if type == "string" and test("\\A" + $pattern + "\\z") then .
    else error("\($what) \(tojson): not valid") end;
  def byte: "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  def quad: "\(byte)\\.\(byte)\\.\(byte)\\.\(byte)";
  def namespace: checked("tenant-[a-z0-9][a-z0-9-]{0,47}"; "namespace");
  def tunnel_device: checked("mgre[0-9]{1,9}"; "tunnel device");
  def bridge: checked("cw-[a-z0-9-]{1,12}"; "bridge");
  def user_device: checked("user[0-9]{1,9}"; "user device");
  def mac: checked("[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}"; "MAC") | ascii_downcase;
  def address: checked(quad; "address");
  def network: checked(quad + "/(3[0-2]|[12]?[0-9])"; "network");
  def whole($low; $high):
    if type == "number" and . == floor and . >= $low and . <= $high then .
    else error("\(tojson): not a whole number from \($low) to \($high)") end;

  def to_int: split(".") | ((.[0] | tonumber) * 256 + (.[1] | tonumber)) * 65536
    + (.[2] | tonumber) * 256 + (.[3] | tonumber);
  def from_int: . as $n | [16777216, 65536, 256, 1] | map(. as $unit | $n / $unit | floor % 256 | tostring) | join(".");
  def prefix_length: split("/")[1] | tonumber;
  def first_host: (split("/")[0] | to_int) + 1 | from_int;
  def block($length): (to_int / pow(2; 32 - $length)) | floor;
  def contains_network($inner): prefix_length as $length | (split("/")[0] | block($length)) as $block
    | ($inner | prefix_length) >= $length and ($inner | split("/")[0] | block($length)) == $block;
  # as `ip route` prints a destination
  def as_route: if . == "0.0.0.0/0" then "default" else rtrimstr("/32") end;
  # the strings of the input that are not among $others; for thousands of them
  def without($others): if . == [] or $others == [] then .
    else (reduce $others[] as $other ({}; .[$other] = true)) as $is | map(select($is[.] | not)) end;

  # What kernel_facts printed, by namespace ("" is the root one): {addr, route, neigh}, and what was added to it.
  def kernel_facts:
    reduce inputs as $fact ({};
      if $fact | type == "object" then .current = $fact.namespace | .of[.current] = []
      else .of[.current] += [$fact] end)
    | .of // {} | map_values({addr: .[0], route: .[1], neigh: .[2], rule: .[3], tables: .[4]});
  # Bytes that the kinds of tunnel put around a packet: outer IPv4 20, UDP 8, GRE 4 and its key 4.
  def tunnel_kind: .tunnel_kind // "gre" | checked("gre|gre-fou|ipip"; "kind of tunnel");
  def overhead: {"gre": 28, "gre-fou": 36, "ipip": 20}[tunnel_kind];
  def nic_with($address): first(.[] | select(any(.addr_info[]; .local == $address)));
  # Of the tunnels, given the links of the root namespace: what the NIC with the own address takes, or underlay_mtu if less.
  def tunnel_mtu($state): nic_with($state.own // $state.local | address).mtu as $nic_mtu
    | [$nic_mtu, ($state.underlay_mtu | whole(576; 65535))] | min - ($state | overhead);
  # One batch of ip commands in one namespace, as run_batches reads it. Not joined: jq takes quadratic time for that.
  def batch($namespace; $lines):
    if $lines == [] then empty else "\($lines | length) \($namespace)\n", ($lines[] | ., "\n"), "\u001e" end;
'

# state FILTER: the filter over this concern's state file, one line per result, as the array ROWS.
state() {
  local text
  text=$(jq -r "$CHECKS $1" "$STATE") || die "$STATE: see above"
  ROWS=()
  [[ -z $text ]] || mapfile -t ROWS <<<"$text"
}

# The files that a concern is applied from, its state first, as the array SOURCES.
sources_of() {
  local file
  SOURCES=("$ETC/$1.json" "$HERE/$1.sh")
  for file in "$HERE/$1"_*.sh; do
    [[ ! -f $file ]] || SOURCES+=("$file")
  done
  SOURCES+=("$HERE/lib.sh")
}

# The same as one text.
source_of() {
  local file
  sources_of "$1"
  for file in "${SOURCES[@]}"; do
    [[ ! -f $file ]] || printf '%s\n' "$(<"$file")"
  done
}

# ── the kernel, as it is and as it should be ──────────────────────────────────────────────────────────────────────

KERNEL_FACTS=('addr show' 'route show' 'neigh show nud permanent')

# One process per namespace, whatever is asked: a fork and exec costs 30 ms on a slow machine.
kernel_facts() {
  local namespace
  for namespace in "$@"; do
    printf '{"namespace": "%s"}\n' "$namespace"
    printf '%s\n' "${KERNEL_FACTS[@]}" |
      ip ${namespace:+-n "$namespace"} -j -d -batch -
  done
}

# Leaves the facts about the root namespace behind.
nic_with_address_is_there() {
  wait_for "${CAUSEWAY_LOCAL_DEADLINE_S:-30}" "a NIC with address $1" nic_has "$1" ||
    die "no NIC has the address $1, by which this host is known"
}

nic_has() {
  kernel_facts '' >"$RUN/facts"
  [[ $(<"$RUN/facts") == *'"local":"'"$1"'"'* ]]
}

# Namespaces of tenants that exist, wanted or not, as the array TENANT_NAMESPACES.
tenant_namespaces() {
  local path
  TENANT_NAMESPACES=()
  for path in "$ROOT"/run/netns/tenant-*; do
    [[ ! -e $path ]] || TENANT_NAMESPACES+=("${path##*/}")
  done
}

# It gets its name, and with it devices, only once it is closed: it inherits ip_forward from the root namespace.
namespace_exists() {
  namespace_is_there "$1" && return
  later_concerns_follow
  changed "namespace $1 added"
  is_for_real || return 0
  NAMESPACE=$1 unshare --net -- "$BASH" "$0" --inside namespace_is_born
}

namespace_is_born() {
  namespace_is_closed
  ip link set dev lo up
  ip netns attach "$NAMESPACE" "$$"
}

# The namespace that this process is in forwards nothing and answers to ICMP only, and to the other proxy's conntrackd,
# until `forward` opens it.
namespace_is_closed() {
  sysctls_are net/ipv4/ip_forward=0
  ipv6_is_off
  table_is inet causeway_forward "$CLOSED"
}

# What it says by itself of IPv6 would be counted as dropped, heard in the tenant's subnet, and answered by whoever is there.
# `all` is what makes the kernel set every device's, those to come included.
ipv6_is_off() {
  [[ ! -d $ROOT/proc/sys/net/ipv6 ]] || sysctls_are net/ipv6/conf/all/disable_ipv6=1
}

# What conntrackds say to each other is none of the tenant's connections, and passes when its table is full. A func host
# that says that a packet of the namespace's own was too large would shorten those to every other one for ten minutes:
# the tunnel's MTU is known.
readonly ICMP_ONLY='
  chain untracked_in {
    type filter hook prerouting priority raw; policy accept;
    iifname "sync*" notrack
  }
  chain untracked_out {
    type filter hook output priority raw; policy accept;
    oifname "sync*" notrack
  }
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    iifname "mgre*" icmp type destination-unreachable icmp code frag-needed counter name dropped drop
    icmp type { echo-request, echo-reply, destination-unreachable, time-exceeded, parameter-problem } accept
    iifname "sync*" udp dport 3780 accept
    counter name dropped
  }'
readonly CLOSED="
  counter dropped { }
  chain forward {
    type filter hook forward priority filter; policy drop;
    counter name dropped
  }$ICMP_ONLY"

# plan PROGRAM ARGUMENT…: the jq program sees the state as $state and the kernel by kernel_facts, from the file
# that kernel_facts wrote, and says in batches what is still to be done.
plan() {
  jq -j -n "$CHECKS $1" --slurpfile states "$STATE" "${@:2}" "$RUN/facts" >"$RUN/plan" ||
    die "$STATE: cannot be applied, see above"
}

# Does what stdin, the planned batches, says. From a file, because bash reads pipes byte by byte.
run_batches() {
  local record namespace lines
  while IFS= read -r -d $'\x1e' record; do
    lines=${record#*$'\n'}
    lines=${lines%$'\n'}
    namespace=${record%%$'\n'*}
    batch_is_said "${namespace%% *}" "${namespace#* }" <<<"$lines"
    namespace=${namespace#* }
    ! is_for_real || ip ${namespace:+-n "$namespace"} -batch - <<<"$lines" || {
      say "failed: ip${namespace:+ -n "$namespace"} -batch, see above" >&2
      return 1
    }
  done
}

# batch_is_said COUNT NAMESPACE: its lines are stdin.
batch_is_said() {
  local lines line
  mapfile -t -n "$SAID_AT_MOST" lines
  (($1 <= SAID_AT_MOST)) || lines+=("… and $(($1 - SAID_AT_MOST)) more")
  lines=("${lines[@]/#/"${2:+$2: }ip "}")
  changed "${lines[0]}"
  for line in "${lines[@]:1}"; do
    say "$line"
  done
}

namespace_is_there() { [[ -e $ROOT/run/netns/$1 ]]; }

# inside NAMESPACE FUNCTION ARGUMENT…: this script's function, run in the namespace.
inside() {
  namespace_is_there "$1" || return 1
  NAMESPACE=$1 nsenter --net="$ROOT/run/netns/$1" -- "$BASH" "$0" --inside "${@:2}"
}

# What is not there yet keeps nothing else waiting: a concern does what it can, and says at its end what it could not.
# Then it has failed, and is applied again with the next one that is asked for, if it followed another.
MISSING=()
nothing_is_missing() {
  local IFS=';'
  ((${#MISSING[@]} == 0)) || die "not there:${MISSING[*]/#/ }"
}

# start "$@" ends every concern's script: `main` runs, or the function that inside() named.
start() {
  if [[ ${1:-} == --inside ]]; then
    "${@:2}"
  else
    main
  fi
}

# sysctls_are PATH=VALUE…, in the namespace this process is in.
sysctls_are() {
  local setting file value
  for setting in "$@"; do
    file=$ROOT/proc/sys/${setting%%=*}
    read -r value <"$file"
    if [[ $value != "${setting#*=}" ]]; then
      changed "${NAMESPACE:+$NAMESPACE: }sysctl $setting (was $value)"
      ! is_for_real || echo "${setting#*=}" >"$file"
    fi
  done
}

# Likewise, but what is more already stays.
sysctls_are_at_least() {
  local setting value
  for setting in "$@"; do
    read -r value <"$ROOT/proc/sys/${setting%%=*}"
    ((value >= ${setting#*=})) || sysctls_are "$setting"
  done
}

# All namespaces of a host share one table of neighbours, of 1,024, which a single sender fills that has it look for many
# addresses of a subnet: a func host those of a tenant's, a container those of its own bridge. It looks for a thousand or so at
# the same time, if it is asked for 400 new ones a second; a subnet has 65,536.
neighbours_have_room() {
  local threshold=$ROOT/proc/sys/net/ipv4/neigh/default/gc_thresh3
  [[ -w $threshold ]] || return 0 # it is the machine's, which a container's root may not set
  sysctls_are_at_least net/ipv4/neigh/default/gc_thresh3=65536 net/ipv4/neigh/default/gc_thresh2=32768
}

# connections_have_room TENANTS SETTER: a quarter of the memory is for connections, the same share of it for the namespace of each
# tenant: one that has too many is refused new ones, and nobody else is. (The kernel's own limit is that of a host which
# forwards nothing: 2,048 in 200 MiB.) A connection takes 0.4 KiB in the kernel and 0.45 in a pair's conntrackd, measured; 1 is
# counted. conntrackd keeps closed ones for a while, so no more than half of its HashLimit, see sync.sh. Buckets are for all
# tenants together: with too few, the kernel refuses a connection whose chain is long. It rounds them up to whole pages, of
# 512. SETTER: sysctls_are, or sysctls_are_at_least where the table is not ours alone.
connections_have_room() {
  local kib limit=$ROOT/proc/sys/net/netfilter/nf_conntrack_max
  [[ -w $limit ]] || return 0           # likewise
  read -r _ kib _ <"$ROOT/proc/meminfo" # MemTotal
  limit=$((kib / 4 / $1 / 512 * 512))
  limit=$((limit < 2048 ? 2048 : limit > 262144 ? 262144 : limit))
  "$2" net/netfilter/nf_conntrack_buckets="$((limit * $1))" net/netfilter/nf_conntrack_max="$limit"
}

# ── nft tables ────────────────────────────────────────────────────────────────────────────────────────────────────

# Contents of sets don't count where commands fill them, and say what they lack. They do where they are of the body.
SETS_COUNT=no

# table_is FAMILY NAME BODY: our table has this body. One that is as it was left is not touched: its counters go on.
table_is() {
  table_is_as_left "$@" || table_is_replaced "$@"
}

# The table in the kernel came from this body, and nobody has changed it since.
table_is_as_left() {
  local record=$RUN/tables/${NAMESPACE:-root}.$2 was='' now
  [[ -f $record ]] || return 1
  IFS= read -r -d '' was <"$record" || true
  now=$(table_is_listed "$1" "$2" 2>&1) || return 1
  [[ $was == "$3"$'\x1e'"$now" ]]
}

# table_is_replaced FAMILY NAME BODY [COMMANDS]: one transaction, together with the commands that fill its sets, so
# that no packet meets a half-made table.
table_is_replaced() {
  local record=$RUN/tables/${NAMESPACE:-root}.$2 now
  changed "${NAMESPACE:+$NAMESPACE: }nft table $2 replaced"
  is_for_real || return 0
  { whole_table "$1" "$2" "$3" && printf '%s\n' "${4:-}"; } | nft -f -
  now=$(table_is_listed "$1" "$2")
  [[ -d $RUN/tables ]] || mkdir -p "$RUN/tables"
  printf '%s\x1e%s' "$3" "$now" >"$record.new"
  mv "$record.new" "$record"
}

table_is_listed() {
  if [[ $SETS_COUNT == yes ]]; then nft -s list table "$1" "$2"; else nft -s -t list table "$1" "$2"; fi
}

table_is_gone() {
  nft list table "$1" "$2" >/dev/null 2>&1 || return 0
  changed "${NAMESPACE:+$NAMESPACE: }nft table $2 deleted"
  ! is_for_real || nft delete table "$1" "$2"
}

# stands_at_boot COMMANDS: nft is given them at boot, ahead of the network, by causeway-CONCERN.service.
stands_at_boot() {
  local file=$ETC/$CONCERN.nft
  ! file_says "$file" "$1"$'\n' || return 0
  changed "${file#"$ROOT"} written"
  is_for_real || return 0
  printf '%s\n' "$1" >"$file.new"
  mv "$file.new" "$file"
}

# whole_table FAMILY NAME BODY: commands that make it so, whether it is there or not.
whole_table() { printf '%s\n' "table $1 $2" "delete table $1 $2" "table $1 $2 {" "$3" "}"; }

# ── instance metadata ─────────────────────────────────────────────────────────────────────────────────────────────

readonly IMDS_URL=http://169.254.169.254/latest
declare -A IMDS=()

# imds PATH…: IMDS[PATH] is what the instance metadata says, unset where there is no such path. Fails where it says neither of
# one of them, as when it is asked too often. One process for all.
imds() {
  local token line body='' path answers=0
  token=$(imds_token) || return 1
  IMDS=()
  while IFS= read -r line; do
    if [[ $line =~ ^=([0-9]{3})\ "$IMDS_URL"/meta-data/(.*)$ ]]; then
      path=${BASH_REMATCH[2]}
      case ${BASH_REMATCH[1]} in
        200) IMDS[$path]=${body%"${body##*[![:space:]]}"} ;;
        404) ;;
        *) return 1 ;;
      esac
      body='' answers=$((answers + 1))
    else
      body+=$line$'\n'
    fi
  done < <(
    printf '%s\n' "${@/#/url = $IMDS_URL/meta-data/}" |
      curl -s --noproxy '*' --connect-timeout 1 --max-time 5 -H @<(printf 'X-aws-ec2-metadata-token: %s' "$token") \
        -w '\n=%{http_code} %{url_effective}\n' -K -
  )
  ((answers == $#))
}

imds_token() {
  curl -sf --noproxy '*' --connect-timeout 1 --max-time 5 -X PUT \
    -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$IMDS_URL/api/token"
}

imds_answers() { imds_token >/dev/null; }

# ── others on this host ───────────────────────────────────────────────────────────────────────────────────────────

# networkd_ignores NAME MATCH: systemd-networkd, where it runs, configures no device that MATCH describes. Without a
# MATCH there is no file: one with an empty section would match every device.
networkd_ignores() {
  local file=$ROOT/etc/systemd/network/05-causeway-$1.network
  local wanted="[Match]
$2

[Link]
Unmanaged=yes
"
  [[ -n $2 ]] || wanted=
  ! file_says "$file" "$wanted" || return 0
  if [[ -z $wanted ]]; then
    run rm "$file"
    return
  fi
  changed "systemd-networkd ignores $2"
  is_for_real || return 0
  file_is_readable "$file" "$wanted"
  if systemctl is-active --quiet systemd-networkd; then networkctl reload; fi
}

# It takes all away that it did not make when it starts: at its next start it reads that it does not.
networkd_leaves_foreign_routes() {
  local file=$ROOT/etc/systemd/networkd.conf.d/05-causeway.conf
  local wanted="[Network]
ManageForeignRoutes=no
ManageForeignRoutingPolicyRules=no
"
  ! file_says "$file" "$wanted" || return 0
  changed "systemd-networkd leaves others' routes and rules"
  ! is_for_real || file_is_readable "$file" "$wanted"
}

# file_says FILE TEXT, all of it; one that is not there says nothing.
file_says() {
  local present=''
  [[ ! -f $1 ]] || IFS= read -r -d '' present <"$1" || true
  [[ $present == "$2" ]]
}

file_is_readable() {
  (umask 022 && mkdir -p "${1%/*}" && printf '%s' "$2" >"$1")
}
