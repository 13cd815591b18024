#!/usr/bin/env bash
# The resident half of a pair's proxy: what keepalived decides becomes true in AWS and in this kernel.
#
#   keepalived ──────── MASTER, BACKUP, FAULT ──▶ ┌────────┐ ──▶ `ip`, waiting in each namespace: HaVip comes or goes
#   pair_health.sh ──── a data path broke ──────▶ │ events │ ──▶ `curl`, waiting: claims every HaVip it lacks, at once
#   metadata ────────── who has which HaVip ────▶ │ (FIFO) │ ──▶ `aside`: 1 keeps keepalived in FAULT
#   /opt/causeway/pair ─ switch, renew ─────────▶ └────────┘ ──▶ state.json, for `status`
#
# Rules:
#   1. MASTER: take the addresses, claim them all in one go, look in the metadata until all are there, repeat what is
#      refused. All there: it is whole, and deaf to adverts, so that one which wakes from a hang cannot demote it.
#   2. The kernel follows AWS: an address is here while the metadata lists it here, or a claim for it is under way. So the
#      old one forwards until the new one has taken over.
#   3. One that was whole and lost an address stands aside: the other took over. It listens again once it hears the
#      other's adverts, or the HaVip is silent for a second (then the other is dead), or its patience ends.
#   4. While both claim, the one with the higher index stands aside.
#   5. A broken data path: it stands aside, unless nobody else is active. Then it serves what it can.
#   6. A switch is no more than standing aside: if nobody takes over, nothing has happened.
# Who stood aside in vain waits twice as long the next time, until it hears the other again.
#
# A fork and exec costs 30 ms on a slow machine, so nothing is started between keepalived's word and the claim: `ip` and
# `curl` run already, each with its ear at a pipe; the metadata is read by a process of its own through /dev/tcp, which
# also keeps the credentials ready.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"
set +eEu # it has to go on, whatever fails
trap - ERR
trap '' PIPE

readonly DIRECTORY=$RUN/pair
readonly EVENTS_FIFO=$DIRECTORY/events CLAIM_FIFO=$DIRECTORY/claim POLL_FIFO=$DIRECTORY/poll
readonly METADATA_HOST=${CAUSEWAY_METADATA_HOST:-169.254.169.254}
readonly CREDENTIALS_EVERY_MS=30000 # AWS has new ones five minutes before the old ones end
readonly GRANT_TAKES_MS=10000       # AWS moves an address some time after it said yes
readonly CLAIM_TAKES_MS=6000        # curl's own deadline, and some
readonly BACK_OFF_MS=200 BACK_OFF_MAX_MS=2000
readonly GIVE_UP_MS=5000 # claims that AWS refuses
readonly SILENCE_MS=1000 PATIENCE_MS=30000 NOBODY_TOOK_MS=3000 NOBODY_ACTIVE_MS=2000
readonly OFFER_MS=15000 # how often one that serves with a broken path offers its place
readonly START_MS=20000 HEALTH_TAKES_MS=15000 RESYNC_MS=60000 ASLEEP_MS=2000 STUCK_MS=20000 SYNC_EVERY_MS=${CAUSEWAY_SYNC_EVERY_MS:-15000}

# ── what is so ────────────────────────────────────────────────────────────────────────────────────────────────────

# PHASE: starting, standby, active, yielding, fault. By HaVip: LISTED, whether the metadata has it here (1, 0, "": not
# known), IN_KERNEL likewise; GOT: seen here since this claim began.
ROLE=none PHASE=starting REASON='just started' SINCE=$EPOCHSECONDS
WAS_WHOLE=0 LAST_RESORT=0 DEAF=0 ASIDE=1 DISTRUST=0 CLEAN=1 # nothing to be forgotten yet
NAMES=() NAMESPACES=() DEVICES=() MACS=() ENIS=() ADDRESSES=() HEALTH=() ASKED_HEALTH_AT=()
LISTED=() IN_KERNEL=() GOT=() GRANTED_AT=() REFUSED=() IP_PIPES=() IP_PIDS=() HELPERS=() ADDRESSED_AT=()
declare -A TUNNELS=() SYNC=()
KEY='' SECRET='' SESSION='' SWITCHES=() TOLD='' ALARMS=() PLATFORM=0 BROKEN='' UNREADY=''
# shellcheck disable=SC2034 # read by name
readonly IS_=null IS_0=false IS_1=true
CURL_PID=0 POLL_PID=0 CLAIMING=0 ATTEMPT=0
# Milliseconds since boot.
NOW=0 CLAIMED_AT=0 ANSWERED_AT=0 NEXT_CLAIM_AT=0 MASTER_AT=0 ASIDE_AT=0 METADATA_AT=0 HEARD_AT=0 PONG_AT=0 PEER_PONG_AT=0
ASKED_AT=0 ALIVE_AT=0 TOLD_AT=0 CHECKED_AT=0 SYNC_CHECKED_AT=0 RESYNCED_AT=0 POLL_STARTED_AT=0
HEARD='' TOLD_PHASE='' WAIT_S=0.1

main() {
  local line part='' last
  configuration_is_read
  [[ ! -f $DIRECTORY/switches ]] || mapfile -t SWITCHES <"$DIRECTORY/switches"
  if (($#)); then
    ROLE=$1 PHASE=$2 WAS_WHOLE=$3 DEAF=$4 ASIDE=$5 LAST_RESORT=$6 CLEAN=$7 SINCE=$8 REASON=$9
  else
    printf '1\n' >"$DIRECTORY/aside"
  fi
  exec {EVENTS}<>"$EVENTS_FIFO" {POLL}<>"$POLL_FIFO"
  now_is
  ASIDE_AT=$NOW METADATA_AT=$NOW MASTER_AT=$NOW last=$NOW
  (($#)) || is_deaf 0
  curl_waits
  say "${NAMES[*]} of $OWN, with $PEER"
  while :; do
    line=''
    # What it had read when the time was over is the beginning of the next line.
    if read -r -t "$WAIT_S" -u "$EVENTS" line; then
      line=$part$line part=''
    else
      part+=$line line=''
    fi
    now_is
    ((NOW - last <= ASLEEP_MS)) || woke_up $((NOW - last))
    last=$NOW
    [[ -z $line ]] || event "$line"
    due
  done
}

now_is() {
  local up
  read -r up _ <"$ROOT/proc/uptime"
  NOW=$((10#${up/./} * 10))
}

# pair.sh writes it, from a state that it has checked.
# shellcheck disable=SC2086 # the words of a line
configuration_is_read() {
  local what rest
  OWN='' PEER='' INDEX=0 REGION='' URL='' CONNECT_TO=-
  while read -r what rest; do
    case $what in
      own) OWN=$rest ;;
      peer) PEER=$rest ;;
      index) INDEX=$rest ;;
      region) REGION=$rest ;;
      url) URL=$rest ;;
      connect_to) CONNECT_TO=$rest ;;
      havip) havip_is_known $rest ;;
      tenant) tenant_is_known $rest ;;
    esac
  done <"$DIRECTORY/watch.conf"
}

havip_is_known() {
  [[ $2 != - ]] || PLATFORM=${#NAMES[@]}
  NAMES+=("$1") NAMESPACES+=("$2") DEVICES+=("$3") MACS+=("$4") ENIS+=("$5") ADDRESSES+=("$6") HEALTH+=('') ASKED_HEALTH_AT+=(0)
  LISTED+=('') IN_KERNEL+=('') GOT+=(0) GRANTED_AT+=(-1000000) REFUSED+=('') IP_PIPES+=(0) IP_PIDS+=(0) HELPERS+=(0) ADDRESSED_AT+=(-1000000)
}

tenant_is_known() { TUNNELS[$1]=$2 SYNC[$1]=active; }

# New scripts or another state are taken on by the same process, without a word to keepalived.
is_renewed() {
  local pid
  say "renewed"
  for pid in "${HELPERS[@]}" "${IP_PIDS[@]}" "$CURL_PID" "$POLL_PID"; do
    ((pid == 0)) || kill "$pid" 2>/dev/null
  done
  exec {POLL}>&-
  exec "$BASH" "$0" "$ROLE" "$PHASE" "$WAS_WHOLE" "$DEAF" "$ASIDE" "$LAST_RESORT" "$CLEAN" "$SINCE" "$REASON"
}

# The machine was stopped for a while, and the world went on.
woke_up() {
  say "did not run for $1 ms"
  CLAIMING=0 WAS_WHOLE=1 METADATA_AT=$NOW NEXT_CLAIM_AT=$((NOW + 1000))
  curl_is_made_anew
  poll_is fast
}

# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────

event() {
  local words
  read -r -a words <<<"$1"
  case ${words[0]} in
    claim | health | kernel) [[ ${words[1]:-} =~ ^[0-9]{1,3}$ ]] && ((words[1] < ${#NAMES[@]})) || return 0 ;;
  esac
  case ${words[0]} in
    INSTANCE) keepalived_says "${words[2]:-}" ;;
    metadata) metadata_says "${words[1]:-}" "${words[2]:-0}" ;;
    credentials) credentials_are_read ;;
    claim) claim_is_answered "${words[1]:-0}" "${words[2]:-000}" ;;
    curl) curl_is_done "${words[1]:-}" "${words[2]:-0}" ;;
    health) HEALTH[words[1]]="${words[*]:2}" ;;
    kernel)
      # What was seen before the last change was made says nothing.
      if ((NOW - ADDRESSED_AT[words[1]] > 1500)); then
        IN_KERNEL[words[1]]=${words[2]}
        addresses_follow
      fi
      ;;
    pong) PONG_AT=$NOW ;;
    peer) PEER_PONG_AT=$NOW ;;
    sync) SYNC[${words[1]}]=${words[2]:-} ;;
    switch) [[ $PHASE != active ]] || stands_aside yielding "a switch was asked for" ;;
    renew) is_renewed ;;
    *) say "not understood: $1" >&2 ;;
  esac
}

keepalived_says() {
  case $1 in MASTER | BACKUP | FAULT | STOP) ROLE=$1 ;; esac
  case $1 in
    MASTER) becomes_active ;;
    BACKUP)
      ((DEAF == 0)) || is_deaf 0
      [[ $PHASE != active ]] || LAST_RESORT=0
      ((CLAIMING == 0)) || curl_is_made_anew
      ((ASIDE)) || state_is standby "the other one is active"
      ;;
    FAULT) ((ASIDE)) || state_is fault "keepalived finds a fault of its own, say of the NIC" ;;
    STOP) state_is fault "keepalived was stopped" ;;
  esac
}

# On the way of every connection: nothing is started here.
becomes_active() {
  local i
  if ((ASIDE)); then return; fi # keepalived has not read `aside` yet
  PHASE=active WAS_WHOLE=0 MASTER_AT=$NOW ATTEMPT=0 CLEAN=0
  for i in "${!NAMES[@]}"; do
    GOT[i]=0 GRANTED_AT[i]=-1000000 REFUSED[i]=''
    address_is_here "$i" 1
  done
  claimed "${!NAMES[@]}"
  poll_is fast
  REASON="the other one went silent or stood aside"
  ((LAST_RESORT == 0)) || REASON="nobody else is active"
  switch_is_recorded
}

state_is() {
  [[ $PHASE != "$1" || $REASON != "$2" ]] || return 0
  local was=$PHASE
  PHASE=$1 REASON=$2
  if [[ $was == active || $1 == active ]]; then
    switch_is_recorded
  fi
}

switch_is_recorded() {
  SINCE=$EPOCHSECONDS
  SWITCHES=("${SWITCHES[@]: -4}" "$EPOCHSECONDS $PHASE $REASON")
  printf '%s\n' "${SWITCHES[@]}" >"$DIRECTORY/switches"
  printf '%s\n' "$PHASE" >"$DIRECTORY/role"
}

# ── addresses ─────────────────────────────────────────────────────────────────────────────────────────────────────

addresses_follow() {
  local i wanted
  for i in "${!NAMES[@]}"; do
    wanted=${LISTED[i]:-${IN_KERNEL[i]}}
    [[ $PHASE != active ]] || wanted=1
    [[ $wanted == "${IN_KERNEL[i]}" || -z $wanted ]] || address_is_here "$i" "$wanted"
  done
}

# address_is_here HAVIP 0|1: pair_health.sh tells afterwards whether it is true.
address_is_here() {
  local line label="${DEVICES[$1]}:ha"
  if ((${#label} > 15)); then label=${DEVICES[$1]}; fi
  line="addr replace ${ADDRESSES[$1]}/32 dev ${DEVICES[$1]} label $label"
  (($2)) || line="addr del ${ADDRESSES[$1]}/32 dev ${DEVICES[$1]}"
  ((IP_PIPES[$1])) || return 0
  if printf '%s\n' "$line" >&"${IP_PIPES[$1]}"; then IN_KERNEL[$1]=$2 ADDRESSED_AT[$1]=$NOW; fi
} 2>/dev/null

# An `ip` that stands in the namespace and does what it reads.
ip_waits() {
  local pipe namespace=()
  [[ ${NAMESPACES[$1]} == - ]] || namespace=(-n "${NAMESPACES[$1]}")
  if ((IP_PIPES[$1])); then
    pipe=${IP_PIPES[$1]}
    exec {pipe}>&-
  fi
  exec {pipe}> >(exec ip "${namespace[@]}" -force -batch - >/dev/null)
  IP_PIDS[$1]=$! IP_PIPES[$1]=$pipe
}

# ── claims ────────────────────────────────────────────────────────────────────────────────────────────────────────

# A `curl` that has done all but read what it shall do.
curl_waits() {
  (
    trap 'kill "$!" 2>/dev/null; exit' TERM
    curl -q --silent --noproxy '*' --parallel --parallel-immediate --parallel-max 64 -K "$CLAIM_FIFO" &
    wait "$!"
    status=$?
    # It died before it read: whoever writes just now is not left waiting.
    case $status in 2 | 2[67] | 12[67] | ???) read -r -t 0.3 <>"$CLAIM_FIFO" ;; esac
    echo "curl $BASHPID $status"
  ) 1>&"$EVENTS" 2>/dev/null &
  CURL_PID=$!
}

curl_is_made_anew() {
  ((CURL_PID == 0)) || kill "$CURL_PID" 2>/dev/null
  CLAIMING=0
  curl_waits
}

# claimed HAVIP…: all in one go, each a call of its own, since each has an ENI of its own.
claimed() {
  local i text=''
  if [[ -z $KEY ]]; then
    NEXT_CLAIM_AT=$((NOW + BACK_OFF_MS))
    return
  fi
  for i in "$@"; do
    text+="next
url = \"$URL\"
data = \"Action=AssignPrivateIpAddresses&Version=2016-11-15&NetworkInterfaceId=${ENIS[i]}&PrivateIpAddress.1=${ADDRESSES[i]}&AllowReassignment=true\"
aws-sigv4 = \"aws:amz:$REGION:ec2\"
user = \"$KEY:$SECRET\"
header = \"X-Amz-Security-Token: $SESSION\"
connect-timeout = 1
max-time = 4
output = \"$DIRECTORY/answer.$i\"
write-out = \"claim $i %{http_code}\\n\"
"
    [[ $CONNECT_TO == - ]] || text+="connect-to = \"::$CONNECT_TO:\"
"
  done
  # Only one that has not read yet: writing to the pipe waits for a reader.
  if ((CLAIMING)) || ! is_there "$CURL_PID" -; then curl_is_made_anew; fi
  printf '%s' "${text#next$'\n'}" >"$CLAIM_FIFO"
  CLAIMING=1 CLAIMED_AT=$NOW
} 2>/dev/null

claim_is_answered() {
  local answer=''
  if [[ $2 == 200 ]]; then
    GRANTED_AT[$1]=$NOW REFUSED[$1]='' ANSWERED_AT=$NOW
    return
  fi
  IFS= read -r -d '' answer <"$DIRECTORY/answer.$1"
  REFUSED[$1]="HTTP $2"
  [[ ! $answer =~ \<Code\>([A-Za-z.]{1,60})\</Code\> ]] || REFUSED[$1]="HTTP $2 ${BASH_REMATCH[1]}"
  [[ $2 != 000 ]] || REFUSED[$1]="no answer"
  [[ $2 != 40[013] ]] || poll_is credentials
} 2>/dev/null

curl_is_done() {
  local back_off=$((BACK_OFF_MS << (ATTEMPT < 4 ? ATTEMPT : 4)))
  [[ $1 == "$CURL_PID" ]] || return 0
  CLAIMING=0 CURL_PID=0
  if [[ $PHASE == active ]]; then
    ATTEMPT=$((ATTEMPT + 1)) NEXT_CLAIM_AT=$((NOW + (back_off < BACK_OFF_MAX_MS ? back_off : BACK_OFF_MAX_MS)))
  fi
  [[ $2 == 127 ]] || curl_waits
}

claims_go_on() {
  local i lacking=()
  if ((CLAIMING && NOW - CLAIMED_AT > CLAIM_TAKES_MS)); then
    curl_is_made_anew
  fi
  ((CLAIMING == 0 && NOW >= NEXT_CLAIM_AT)) || return 0
  for i in "${!NAMES[@]}"; do
    [[ ${LISTED[i]} == 1 ]] || ((NOW - GRANTED_AT[i] < GRANT_TAKES_MS)) || lacking+=("$i")
  done
  ((${#lacking[@]} == 0)) || claimed "${lacking[@]}"
}

# AWS says no, and will go on saying so: perhaps it says yes to the other.
gives_up_what_is_refused() {
  local i refused=''
  ((NOW - MASTER_AT > GIVE_UP_MS << DISTRUST)) || return 0
  for i in "${!NAMES[@]}"; do
    [[ ${LISTED[i]} == 1 || ${REFUSED[i]} != 'HTTP 4'* ]] || refused+=" ${NAMES[i]} (${REFUSED[i]})"
  done
  [[ -n $refused ]] || return 0
  asked peer "$PEER"
  ((NOW - PEER_PONG_AT < 1000)) || return 0
  DISTRUST=$((DISTRUST < 6 ? DISTRUST + 1 : 6))
  stands_aside yielding "claims were refused:$refused"
}

# ── what AWS says ─────────────────────────────────────────────────────────────────────────────────────────────────

metadata_says() {
  local bits=$1 i all=1 contested=0
  METADATA_AT=$NOW
  ((${#bits} == ${#NAMES[@]})) || return 0
  for i in "${!NAMES[@]}"; do
    LISTED[i]=${bits:i:1}
    if [[ ${LISTED[i]} == 0 ]]; then
      all=0
      ((GOT[i] == 0)) || contested=1 GRANTED_AT[i]=-1000000
    fi
  done
  addresses_follow
  # What was read before this one became active says nothing about its claim.
  [[ $PHASE == active ]] && (($2 >= MASTER_AT)) || return 0
  for i in "${!NAMES[@]}"; do GOT[i]=${LISTED[i]}; done
  if ((all)); then
    ((WAS_WHOLE && DEAF)) || is_whole
  elif ((WAS_WHOLE)); then
    stands_aside yielding "the other one took over"
  elif ((contested && INDEX > 0)); then
    stands_aside yielding "the other one claims too"
  fi
}

is_whole() {
  local answered=''
  ((ANSWERED_AT < MASTER_AT)) || answered=", the API's yes after $((ANSWERED_AT - MASTER_AT)) ms"
  say "whole after $((NOW - MASTER_AT)) ms$answered"
  WAS_WHOLE=1 ATTEMPT=0
  is_deaf 1
  poll_is slow
  resynced
}

is_listed_whole() {
  local i
  for i in "${!NAMES[@]}"; do [[ ${LISTED[i]} == 1 ]] || return 1; done
}

is_listed_nowhere() {
  local i
  for i in "${!NAMES[@]}"; do [[ ${LISTED[i]} == 0 ]] || return 1; done
}

# poll_is fast|slow|credentials|now
poll_is() { printf '%s\n' "$1" >&"$POLL"; }

poll_runs() {
  ((POLL_PID == 0)) || kill "$POLL_PID" 2>/dev/null
  metadata_is_polled &
  POLL_PID=$! POLL_STARTED_AT=$NOW
  [[ $PHASE != active ]] || poll_is fast
}

# A process of its own, because a connection to nowhere cannot be given a deadline here.
metadata_is_polled() {
  local token='' token_at=-100000000 credentials_at=-100000000 wait=1 word i bits started
  STUCK=0 LOOKED_AT=$NOW
  trap - TERM
  while :; do
    now_is
    ends_what_is_stuck
    if ((NOW - token_at > 3600000)); then
      if asks_metadata PUT api/token 'X-aws-ec2-metadata-token-ttl-seconds: 21600'; then token=$BODY token_at=$NOW; fi
    fi
    if ((NOW - credentials_at > CREDENTIALS_EVERY_MS)) && credentials_are_fetched "$token"; then
      credentials_at=$NOW
      echo credentials
    fi
    bits='' started=$NOW
    for i in "${!NAMES[@]}"; do
      asks_metadata GET "meta-data/network/interfaces/macs/${MACS[i]}/local-ipv4s" "X-aws-ec2-metadata-token: $token" || {
        [[ $BODY != *' 401 '* ]] || token_at=-100000000
        [[ $BODY == *' 404 '* ]] || break
        BODY='' # such a NIC is not attached
      }
      if [[ $'\n'$BODY$'\n' == *$'\n'"${ADDRESSES[i]}"$'\n'* ]]; then bits+='1'; else bits+='0'; fi
    done
    ((${#bits} != ${#NAMES[@]})) || echo "metadata $bits $started"
    word=''
    read -r -t "$wait" -u "$POLL" word
    case $word in
      fast) wait=0.05 ;;
      slow) wait=1 ;;
      credentials) credentials_at=-100000000 ;;
    esac
  done
} 1>&"$EVENTS" 2>/dev/null

# A watcher that is stuck must not stay active: systemd starts it anew, and keepalived with it. Time in which this process
# did not run either does not count.
ends_what_is_stuck() {
  local passed=$((NOW - LOOKED_AT)) beat
  LOOKED_AT=$NOW
  read -r beat <"$DIRECTORY/alive"
  if [[ $beat != "${BEAT:-}" ]]; then
    BEAT=$beat STUCK=0
  else
    STUCK=$((STUCK + (passed < 1500 ? passed : 0)))
    ((STUCK < STUCK_MS)) || kill -KILL $$
  fi
}

# asks_metadata METHOD PATH HEADER: BODY is the answer's text; if it is not 200, its first line.
asks_metadata() {
  local socket answer=''
  BODY=''
  exec {socket}<>"/dev/tcp/$METADATA_HOST/80" || return 1
  printf '%s /latest/%s HTTP/1.0\r\nHost: %s\r\n%s\r\nContent-Length: 0\r\n\r\n' "$1" "$2" "$METADATA_HOST" "$3" >&"$socket"
  IFS= read -r -d '' -t 2 -u "$socket" answer
  exec {socket}>&-
  BODY=${answer%%$'\r\n'*}
  [[ $BODY == 'HTTP/1.'?' 200'* ]] || return 1
  BODY=${answer#*$'\r\n\r\n'}
}

# What is not of the right form would be read by curl as something else.
credentials_are_fetched() {
  local role header="X-aws-ec2-metadata-token: $1" key secret session
  asks_metadata GET meta-data/iam/security-credentials/ "$header" || return 1
  role=${BODY%%$'\n'*} role=${role%/}
  [[ $role =~ ^[A-Za-z0-9+=,.@_-]{1,128}$ ]] || return 1
  asks_metadata GET "meta-data/iam/security-credentials/$role" "$header" || return 1
  key=$(json_text AccessKeyId) secret=$(json_text SecretAccessKey) session=$(json_text Token)
  [[ "$key $secret $session" =~ ^[A-Za-z0-9]+\ [A-Za-z0-9/+=]+\ [A-Za-z0-9/+=_-]+$ ]] || return 1
  printf '%s %s %s\n' "$key" "$secret" "$session" >"$DIRECTORY/credentials" # in memory, and for root only
}

json_text() { [[ ! $BODY =~ \"$1\"[[:space:]]*:[[:space:]]*\"([^\"]*)\" ]] || echo "${BASH_REMATCH[1]}"; }

credentials_are_read() { read -r KEY SECRET SESSION <"$DIRECTORY/credentials"; } 2>/dev/null

# ── standing aside, and coming back ───────────────────────────────────────────────────────────────────────────────

stands_aside() {
  printf '1\n' >"$DIRECTORY/aside"
  ASIDE=1 ASIDE_AT=$NOW PONG_AT=$NOW HEARD_AT=0 HEARD='' ASKED_AT=0
  say "stands aside: $2"
  state_is "$1" "$2"
  curl_is_made_anew # its claim might come after the other's
  is_deaf 0
  addresses_follow
  poll_is fast
}

listens_again() {
  ((DEAF == 0)) || is_deaf 0 || return 0
  printf '0\n' >"$DIRECTORY/aside"
  ASIDE=0
  say "listens again: $1"
  state_is standby "$1"
  poll_is slow
}

# Adverts of the other are counted, and heard unless this one is deaf.
is_deaf() {
  local command="flush set inet causeway_pair unheard"
  ((! $1)) || command="add element inet causeway_pair unheard { $PEER }"
  if nft "$command"; then DEAF=$1; fi
}

adverts_are_counted() {
  local found packets
  found=$(nft list counter inet causeway_pair heard 2>/dev/null)
  [[ $found =~ packets\ ([0-9]+) ]] || return 0
  packets=${BASH_REMATCH[1]}
  [[ -z $HEARD ]] || ((packets == HEARD)) || HEARD_AT=$NOW
  HEARD=$packets
}

# asked WORD ADDRESS: WORD will be an event if it answers.
asked() {
  ((NOW - ASKED_AT >= 300)) || return 1
  ASKED_AT=$NOW
  (ping -n -q -c 1 -W 1 -I "$OWN" "$2" && echo "$1" 1>&"$EVENTS") >/dev/null 2>&1 &
}

# Looks and asks for the other one, three times a second.
other_one_is_looked_for() {
  [[ ${LISTED[PLATFORM]} != 1 ]] || PONG_AT=$NOW # the HaVip is here: only the adverts tell
  ((NOW - ASKED_AT >= 300)) || return 0
  adverts_are_counted
  if [[ ${LISTED[PLATFORM]} == 1 ]]; then
    ASKED_AT=$NOW
  else
    asked pong "${ADDRESSES[PLATFORM]}"
  fi
}

comes_back() {
  local aside_for=$((NOW - ASIDE_AT)) silent_for why=''
  other_one_is_looked_for
  silent_for=$((NOW - PONG_AT))
  if ((HEARD_AT > ASIDE_AT)); then
    DISTRUST=0
    why="the other one is active"
  elif [[ ${LISTED[PLATFORM]} == 1 ]]; then
    ((aside_for < NOBODY_TOOK_MS << DISTRUST)) || why="nobody took over"
  elif ((silent_for > SILENCE_MS << DISTRUST)); then
    why="the other one is silent"
  elif ((aside_for > PATIENCE_MS << DISTRUST)); then
    why="the other one serves, but says nothing"
  fi
  [[ -n $why ]] || return 0
  if ((HEARD_AT <= ASIDE_AT)); then DISTRUST=$((DISTRUST < 6 ? DISTRUST + 1 : 6)); fi
  listens_again "$why"
}

# With a broken path it serves only if nobody else does: no adverts, and not a word from the HaVip.
serves_nevertheless() {
  local quiet_for
  other_one_is_looked_for
  quiet_for=$((NOW - (HEARD_AT > ASIDE_AT ? HEARD_AT : ASIDE_AT)))
  ((quiet_for > NOBODY_ACTIVE_MS)) || return 0
  [[ ${LISTED[PLATFORM]} == 1 ]] || ((NOW - PONG_AT > NOBODY_ACTIVE_MS)) || return 0
  LAST_RESORT=1
  listens_again "nobody else is active: serves although $BROKEN$UNREADY"
}

# ── what is due ───────────────────────────────────────────────────────────────────────────────────────────────────

due() {
  ((NOW - CHECKED_AT < 1000)) || processes_run
  broken_is
  case $PHASE in
    active)
      claims_go_on
      is_listed_whole || gives_up_what_is_refused
      [[ $PHASE == active ]] || return 0
      if [[ -z $BROKEN ]]; then
        LAST_RESORT=0
      elif ((LAST_RESORT == 0)) || ((NOW - MASTER_AT > OFFER_MS)); then
        LAST_RESORT=0
        stands_aside fault "$BROKEN"
      fi
      ((NOW - RESYNCED_AT < RESYNC_MS)) || resynced
      ;;
    standby)
      if [[ -n $BROKEN$UNREADY ]] && ((LAST_RESORT == 0)); then
        stands_aside fault "$BROKEN$UNREADY"
      elif ((CLEAN == 0)) && is_listed_nowhere; then
        resynced
      fi
      ;;
    starting)
      if [[ -z $BROKEN$UNREADY ]]; then
        listens_again "just started"
      elif ((NOW - ASIDE_AT > START_MS)); then
        stands_aside fault "$BROKEN$UNREADY"
      fi
      ;;
    yielding) comes_back ;;
    fault)
      if ((ASIDE == 0)); then
        [[ $ROLE != STOP ]] || REASON="keepalived was stopped"
      elif [[ -z $BROKEN$UNREADY ]] && ((NOW - ASIDE_AT > 2000)); then
        LAST_RESORT=0
        listens_again "well again"
      else
        serves_nevertheless
      fi
      ;;
  esac
  if ((NOW - SYNC_CHECKED_AT > SYNC_EVERY_MS)); then sync_is_looked_at; fi
  if ((NOW - ALIVE_AT > 1000)); then
    ALIVE_AT=$NOW
    echo "$NOW" >"$DIRECTORY/alive"
  fi
  if [[ $PHASE != "$TOLD_PHASE" ]] || ((NOW - TOLD_AT > 400)); then
    ((CLAIMING && NOW - CLAIMED_AT < 500)) || state_is_told # not on the way of a claim
  fi
  WAIT_S=0.3
  if ((ASIDE || CLAIMING || NOW - MASTER_AT < 5000)); then WAIT_S=0.1; fi
}

# BROKEN: the first data path that is. UNREADY: why it could not take over, its paths being whole.
broken_is() {
  local i
  BROKEN='' UNREADY=''
  for i in "${!NAMES[@]}"; do
    if [[ -z ${HEALTH[i]} ]]; then # asked only just now, and while it is well that means nothing
      if ((NOW - ASKED_HEALTH_AT[i] > HEALTH_TAKES_MS)); then
        BROKEN="${NAMES[i]}: nobody says how it is"
      elif [[ $PHASE == starting ]]; then
        UNREADY="${NAMES[i]}: not known yet"
      fi
    elif [[ ${HEALTH[i]} != ok ]]; then
      BROKEN="${NAMES[i]}: ${HEALTH[i]}"
    fi
    [[ -z $BROKEN ]] || return
  done
  if [[ -n $UNREADY ]]; then return; fi
  if [[ -z $KEY ]]; then
    UNREADY="the metadata has no credentials"
  elif [[ -z ${LISTED[PLATFORM]} ]] || ((NOW - METADATA_AT > 5000)); then
    UNREADY="the metadata is silent"
  fi
}

# Whoever died, or is in a namespace that was made anew, is replaced.
processes_run() {
  local i namespace
  CHECKED_AT=$NOW
  for i in "${!NAMES[@]}"; do
    namespace=${NAMESPACES[i]}
    if [[ $namespace != - ]] && ! namespace_is_there "$namespace"; then
      HEALTH[i]="its namespace is not there"
      continue
    fi
    is_there "${IP_PIDS[i]}" "$namespace" || ip_waits "$i"
    is_there "${HELPERS[i]}" "$namespace" || helper_runs "$i"
  done
  ((CLAIMING)) || is_there "$CURL_PID" - || curl_waits
  if ! is_there "$POLL_PID" - || ((NOW - METADATA_AT > 3000 && NOW - POLL_STARTED_AT > 3000)); then
    poll_runs
  fi
}

is_there() {
  (($1)) && kill -0 "$1" 2>/dev/null && [[ $2 == - || $ROOT/proc/$1/ns/net -ef $ROOT/run/netns/$2 ]]
}

helper_runs() {
  local i=$1 words=("$1" "${DEVICES[$1]}" "${MACS[$1]}")
  ((HELPERS[i] == 0)) || kill "${HELPERS[i]}" 2>/dev/null
  HEALTH[i]='' ASKED_HEALTH_AT[i]=$NOW
  if [[ ${NAMESPACES[i]} == - ]]; then
    "$HERE/pair_health.sh" "${words[@]}" "$OWN" "${ADDRESSES[i]}" - 'inet causeway_tunnel' 1>&"$EVENTS" &
  else
    ip netns exec "${NAMESPACES[i]}" "$HERE/pair_health.sh" "${words[@]}" - "${ADDRESSES[i]}" \
      "${TUNNELS[${NAMESPACES[i]}]:--}" 'inet causeway_forward' 'ip causeway_nat' 1>&"$EVENTS" &
  fi
  HELPERS[i]=$!
}

# Every conntrackd: the active one tells all it knows; a standby forgets all, and asks.
resynced() {
  RESYNCED_AT=$NOW
  [[ $PHASE != standby ]] || CLEAN=1
  "$HERE/pair" resync >/dev/null 2>&1 &
}

sync_is_looked_at() {
  local units=("${!TUNNELS[@]}")
  SYNC_CHECKED_AT=$NOW
  ((${#units[@]})) || return 0
  {
    units=("${units[@]/#/causeway-sync@}")
    mapfile -t found < <(systemctl is-active "${units[@]/%/.service}")
    for i in "${!units[@]}"; do echo "sync ${units[i]#causeway-sync@} ${found[i]:-unknown}"; done
  } 1>&"$EVENTS" 2>/dev/null &
}

# ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────────

# Every text in it was made here or by pair_health.sh, or has passed a check: none holds a quote.
state_is_told() {
  local i text havips='' alarms='' switches='' line at to why in_metadata in_kernel
  TOLD_AT=$NOW TOLD_PHASE=$PHASE
  alarms_are
  for i in "${!NAMES[@]}"; do
    in_metadata=IS_${LISTED[i]} in_kernel=IS_${IN_KERNEL[i]}
    havips+=",\"${NAMES[i]}\":{\"imds\":${!in_metadata},\"kernel\":${!in_kernel},\"health\":\"${HEALTH[i]}\",\"refused\":\"${REFUSED[i]}\"}"
  done
  for line in "${SWITCHES[@]}"; do
    read -r at to why <<<"$line"
    switches+=",{\"at\":$at,\"to\":\"$to\",\"reason\":\"$why\"}"
  done
  for line in "${ALARMS[@]}"; do alarms+=",\"$line\""; done
  WHOLE=false
  if is_listed_whole; then WHOLE=true; fi
  text="{\"state\":\"$PHASE\",\"since\":$SINCE,\"reason\":\"$REASON\",\"keepalived\":\"$ROLE\",\"index\":$INDEX,\"own\":\"$OWN\",
\"peer\":\"$PEER\",\"whole\":$WHOLE,\"deaf\":$DEAF,\"havips\":{${havips#,}},\"alarms\":[${alarms#,}],\"switches\":[${switches#,}]}"
  [[ $text != "$TOLD" ]] || return 0
  TOLD=$text
  printf '%s\n' "$PHASE" >"$DIRECTORY/role"
  printf '%s\n' "$text" >"$DIRECTORY/state.json.new"
  mv -f "$DIRECTORY/state.json.new" "$DIRECTORY/state.json"
}

alarms_are() {
  local i namespace found=() refused
  [[ $ROLE != STOP && $ROLE != none ]] || found+=("keepalived does not run")
  if [[ $PHASE == active ]] && ! is_listed_whole && ((NOW - MASTER_AT > 1000)); then
    for i in "${!NAMES[@]}"; do
      [[ ${LISTED[i]} != 1 ]] || continue
      refused=${REFUSED[i]:+: ${REFUSED[i]}}
      found+=("${NAMES[i]} is not here yet$refused")
    done
  fi
  [[ $PHASE == active && $LAST_RESORT == 1 ]] && found+=("serves with a broken path, as nobody else is active")
  [[ -z $BROKEN$UNREADY ]] || ((NOW - CHECKED_AT > 60000)) || found+=("$BROKEN$UNREADY")
  [[ $PHASE != yielding ]] || ((NOW - ASIDE_AT < 5000)) || found+=("stands aside: $REASON")
  for namespace in "${!SYNC[@]}"; do
    [[ ${SYNC[$namespace]} == active ]] || found+=("connections of $namespace are not synchronised: conntrackd is ${SYNC[$namespace]}")
  done
  [[ "${found[*]}" == "${ALARMS[*]}" ]] || {
    for i in "${found[@]}"; do [[ " ${ALARMS[*]} " == *" $i "* ]] || say "ALARM: $i" >&2; done
  }
  ALARMS=("${found[@]}")
}

main "$@"
