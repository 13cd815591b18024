#!/usr/bin/env bash
# The user instance answers HTTP with the client's address, and echoes TCP and UDP.
#
# state: {"http_port": 8080, "tcp_port": 7007, "udp_port": 7007}
# The service is a transient unit: apply makes it, at boot too. Needs no jq, which a customer's host may lack.

# shellcheck source=hostscripts/lib.sh
source "${CAUSEWAY_ROOT:-}/opt/causeway/lib.sh"

readonly UNIT=causeway-echo.service
readonly SERVICE=$HERE/echo_service.py

main() {
  local text http_port tcp_port udp_port digest started=''
  IFS= read -r -d '' text <"$STATE" || true
  http_port=$(port http_port "$text")
  tcp_port=$(port tcp_port "$text")
  udp_port=$(port udp_port "$text")
  digest=$(sha256sum "$SERVICE" "$STATE" "$HERE/echo.sh") # which has the unit's properties
  [[ ! -f $RUN/echo ]] || started=$(<"$RUN/echo")
  if [[ $started != "$digest" ]] || ! systemctl is-active --quiet "$UNIT"; then
    service_is_restarted "$http_port" "$tcp_port" "$udp_port"
    echo "$digest" >"$RUN/echo"
  fi
  answers "$http_port"
  answers "$tcp_port" # and so does UDP: the service listens nowhere before it has all its ports
}

port() {
  [[ $2 =~ \"$1\"[[:space:]]*:[[:space:]]*([0-9]{1,5})[[:space:],}] ]] || die "$STATE: no port \"$1\""
  echo "${BASH_REMATCH[1]}"
}

# As nobody in particular, with a descriptor for each of a drill's connections, which are 5,000 at most, and those that
# come and go. The first time there is nothing to stop, and systemctl fails.
service_is_restarted() {
  systemctl stop "$UNIT" 2>/dev/null || true
  systemctl reset-failed "$UNIT" 2>/dev/null || true
  run systemd-run --quiet --unit="$UNIT" --description="Causeway: HTTP, TCP and UDP echo" \
    --property=DynamicUser=yes --property=ProtectHome=yes --property=Restart=always --property=RestartSec=1 \
    --property=LimitNOFILE=16384 \
    /usr/bin/python3 "$SERVICE" "$@"
}

answers() {
  wait_for 30 "an answer on port $1" connects "$1" || die "$UNIT does not answer on port $1; see: journalctl -u $UNIT"
}

connects() { (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start "$@"
