#!/usr/bin/env bash
# A func host's routes into the tunnels, with its overlay address as their source.
#
#   172.16.101.0/24 ──▶ mgre1, from 10.0.0.3
# A route whose device, with that address, tunnel has not made or has taken away, waits for it.
#
# state: {"routes": [{"tenant", "device": "mgre1", "source": "10.0.0.3", "destinations": ["172.16.101.0/24"]}]}

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"

main() {
  local missing
  kernel_facts '' >"$RUN/facts"
  # shellcheck disable=SC2016 # $ is jq's
  plan '
    kernel_facts[""] as $facts
    | [$states[0].routes[] | "dev \(.device | tunnel_device) src \(.source | address)" as $way
      | .destinations[] | "\(network | as_route) \($way)"] as $wanted
    | [$facts.addr[] | select(.flags | index("UP")) | .ifname as $device | .addr_info[]
        | "dev \($device) src \(.local)"] as $ways
    | [$facts.route[] | select(.protocol == $protocol) | "\(.dst) dev \(.dev) src \(.prefsrc)"] as $had
    | ($wanted | group_by(split(" ")[0])[] | select(length > 1)
        | error("two tenants have the same destination: \(join("; ")).")),
      ([$wanted[] | select(split(" ")[1:] | join(" ") | IN($ways[]) | not)] as $missing
        | ($missing | join(", ")), "\u001e",
        batch("";
          ($had | without($wanted) | map("route del \(.) proto \($protocol)"))
          + ($wanted | without($had + $missing) | map("route replace \(.) proto \($protocol)"))))
  ' --arg protocol "$PROTOCOL"
  {
    IFS= read -r -d $'\x1e' missing
    run_batches
  } <"$RUN/plan"
  [[ -z $missing ]] || MISSING+=("the way of $missing")
  nothing_is_missing
}

start "$@"
