#!/usr/bin/env bash
# What a pair's proxy does around a change that could disturb: it lets the other one forward meanwhile, and is whole again
# before that one's turn comes.
#
# The text of such a command goes to `sudo bash -s` by stdin and has this form:
#
#   <the bytes of this file>
#   main() {
#   steps_aside DIGEST [--staying NAMESPACE…]
#   }
#   main </dev/null
#
# --staying: the tenants that the pair is to have. Of others the first proxy has nothing any more when the second one's turn comes.
# steps_aside and is_ready stand around the concerns; makes_way comes before the instance is replaced, stopped or removed,
# and runs by SSH from the program itself; stays_alone comes before a pair becomes a single proxy, with a word in place of
# the digest. DIGEST is of all that a proxy is told, but the func hosts it knows. One that this proxy is ready with already,
# as when only the operator's key is another one, asks for no step. One that it was ready with before a change that did not come
# to its end asks for one: taking that back is a change as well.

set -euo pipefail

readonly PAIR=${CAUSEWAY_ROOT:-}/opt/causeway/pair RUN=${CAUSEWAY_ROOT:-}/run/causeway
readonly READY_WITHIN_S=${CAUSEWAY_READY_WITHIN_S:-90} SWITCH_WITHIN_S=60
readonly WHOLE_WITHIN_S=${CAUSEWAY_WHOLE_WITHIN_S:-20}

# The other proxy forwards, where it can. One that cannot keeps nobody from mending the pair: that is said, no more.
steps_aside() {
  if is_done_with "$1"; then
    echo "causeway: nothing changes that could disturb"
  else
    rm -f "$RUN/done_with" # from here on it is something in between, until it is ready
    other_one_forwards "${@:2}" || echo "causeway: warning: the other proxy does not take over, so this one is changed while it is active"
  fi
}

# The same before this instance goes: one that the other does not stand in for has to stay.
makes_way() {
  other_one_forwards "${@:2}" || {
    echo "causeway: error: the other proxy does not forward in its place" >&2
    exit 1
  }
}

# The other proxy has left the pair, and goes for good: this one has to have everything. With `other_one_is_gone`, which is
# asked where the other could not be told to leave, that one must be dead: else it would take over as soon as this one's
# pair ends, which is before it goes.
stays_alone() {
  local peer deadline=$((SECONDS + WHOLE_WITHIN_S))
  [[ -f $RUN/pair/state.json ]] || return 0
  until has_everything; do
    if ((SECONDS >= deadline)); then
      echo "causeway: error: the other proxy has the pair's addresses, and would take all connections with it: have this one" \
        "take over first (python -m ops switch; or power the other one off), or keep the pair" >&2
      exit 1
    fi
    sleep 0.5
  done
  [[ $1 == other_one_is_gone ]] || return 0
  peer=$(jq -r .peer "$RUN/pair/state.json")
  ! ping -n -q -c 3 -i 0.2 -W 1 "$peer" >/dev/null || {
    echo "causeway: error: the other proxy lives, would take over once this one's pair ends, and would take all connections" \
      "with it: power it off first (sudo poweroff on $peer), or keep the pair" >&2
    exit 1
  }
}

# What a watcher that is gone has left behind is no word of today.
has_everything() {
  systemctl is-active --quiet causeway-pair.service &&
    [[ $(jq '.state == "active" and .whole' "$RUN/pair/state.json") == true ]]
}

other_one_forwards() {
  local status=0
  if [[ ! -x $PAIR || ! -f $RUN/pair/state.json ]]; then
    echo "causeway: no pair here yet: nothing to step aside from"
    return
  fi
  timeout --kill-after=5 "$SWITCH_WITHIN_S" "$PAIR" step-aside "$@" || status=$?
  if ((status == 2)); then
    echo "causeway: not active: nothing to do"
    return
  fi
  return "$status"
}

# This proxy could take over, or is active and has every HaVip.
is_ready() {
  local deadline=$((SECONDS + READY_WITHIN_S)) said=''
  until said=$(timeout --kill-after=5 20 "$PAIR" ready 2>&1); do
    if ((SECONDS >= deadline)); then
      printf 'causeway: error: not ready after %s s, so the other proxy is left as it is:\n%s\n' "$READY_WITHIN_S" "$said" >&2
      exit 1
    fi
    sleep 0.5
  done
  printf '%s\n' "$said"
  printf '%s\n' "$1" >"$RUN/done_with"
}

is_done_with() {
  local known=''
  [[ ! -f $RUN/done_with ]] || read -r known <"$RUN/done_with" || true
  [[ $known == "$1" ]]
}
