#!/usr/bin/env bash
# A func host's routes into the tunnels, with its overlay address as their source.
#
#   172.16.101.0/24 ──▶ mgre1, from 10.0.0.3
#
# state: {"routes": [{"tenant", "device": "mgre1", "source": "10.0.0.3", "destinations": ["172.16.101.0/24"]}]}

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"

main() {
  kernel_facts '' >"$RUN/facts"
  # shellcheck disable=SC2016 # $ is jq's
  plan '
    [$states[0].routes[] | "dev \(.device | tunnel_device) src \(.source | address)" as $way
      | .destinations[] | "\(network | as_route) \($way)"] as $wanted
    | [kernel_facts[""].route[] | select(.protocol == $protocol) | "\(.dst) dev \(.dev) src \(.prefsrc)"] as $had
    | ($wanted | group_by(split(" ")[0])[] | select(length > 1)
        | error("two tenants have the same destination: \(join("; ")).")),
      batch("";
        ($had | without($wanted) | map("route del \(.) proto \($protocol)"))
        + ($wanted | without($had) | map("route replace \(.) proto \($protocol)")))
  ' --arg protocol "$PROTOCOL"
  run_batches <"$RUN/plan"
}

start "$@"
