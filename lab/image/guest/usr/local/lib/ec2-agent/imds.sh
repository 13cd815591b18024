# shellcheck shell=bash
# A client of the instance metadata service (IMDSv2) that starts no process: /dev/tcp and builtins only.

IMDS_ADDRESS=169.254.169.254
IMDS_TOKEN=

# imds_request METHOD PATH HEADERS: sets IMDS_STATUS (000: no answer) and IMDS_BODY.
imds_request() {
  local fd line length=
  IMDS_STATUS=000 IMDS_BODY=
  { exec {fd}<>"/dev/tcp/$IMDS_ADDRESS/80"; } 2>/dev/null || return 1
  printf '%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n\r\n' "$1" "$2" "$IMDS_ADDRESS" "$3" >&"$fd"
  if read -r -t 5 -u "$fd" line; then
    line=${line#* }
    IMDS_STATUS=${line%% *}
    while read -r -t 5 -u "$fd" line && line=${line%$'\r'} && [[ -n $line ]]; do
      [[ ${line,,} == content-length:* ]] && length=${line##*[!0-9]}
    done
    if [[ -z $length ]]; then
      IFS= read -r -t 5 -d '' -u "$fd" IMDS_BODY
    elif ((length > 0)); then
      IFS= read -r -t 5 -N "$length" -u "$fd" IMDS_BODY
    fi
  fi
  exec {fd}>&-
  [[ $IMDS_STATUS != 000 ]]
}

# imds PATH: sets IMDS_BODY to what /latest/PATH holds. Fails where nothing is there (IMDS_STATUS 404) or nobody
# answers.
imds() {
  if [[ -z $IMDS_TOKEN ]]; then
    imds_request PUT /latest/api/token \
      $'X-aws-ec2-metadata-token-ttl-seconds: 21600\r\nContent-Length: 0' || return 1
    [[ $IMDS_STATUS == 200 ]] || return 1
    IMDS_TOKEN=$IMDS_BODY
  fi
  imds_request GET "/latest/$1" "X-aws-ec2-metadata-token: $IMDS_TOKEN" || return 1
  [[ $IMDS_STATUS == 401 ]] && IMDS_TOKEN=
  [[ $IMDS_STATUS == 200 ]]
}
