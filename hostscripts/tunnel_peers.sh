# shellcheck shell=bash disable=SC2034 # what seems unused, tunnel.sh uses
# A proxy's peers: the func hosts, which with many tenants are many thousand neighbours. Sourced by tunnel.sh.
#
#   "peers": [{"overlay": "10.0.0.5", "underlay": "192.168.80.9", "count": 2}]
#     10.0.0.5 at 192.168.80.9, and 10.0.0.6 at 192.168.80.10
#
# Where nothing but peers differs from what was reconciled last, by the same scripts since the same boot, only that is done,
# and the kernel is not read: one func host more costs the same with ten and with a thousand. What others did to the kernel
# meanwhile is found by `apply --check`, and mended by an apply of what is applied already.

readonly RECONCILED=$RUN/tunnel # state and scripts; the state is empty where the kernel may not have all of it

# shellcheck disable=SC2016 # $ is jq's
readonly PEERS='
  # Addresses in a row, as text. Thousands: only one in 256 is converted.
  def quads($first; $count): ($first + $count - 1) as $last
    | [range(($first / 256 | floor); ($last / 256 | floor) + 1) as $block
      | ($block * 256 | from_int | rtrimstr("0")) as $start
      | range([$first - $block * 256, 0] | max; ([$last - $block * 256, 255] | min) + 1) | "\($start)\(.)"];

  def peer_ranges: map({overlay: .overlay | address | to_int, underlay: .underlay | address | to_int,
      count: .count | whole(1; 65536)}
    | if ([.overlay, .underlay] | max) + .count > 4294967296 then error("peers \(tojson): more than there are addresses")
      else . end);
  # Ranges without what ranges of $others with the same start have.
  def rest($others): ($others | map({key: "\(.overlay) \(.underlay)", value: .count}) | from_entries) as $counts
    | map(($counts["\(.overlay) \(.underlay)"] // 0) as $had | select(.count > $had)
      | {overlay: (.overlay + $had), underlay: (.underlay + $had), count: (.count - $had)});

  # The addresses of ranges as text. Tenants have the same underlay addresses, which are converted once for all.
  def underlays: map({key: "\(.underlay) \(.count)", value: [.underlay, .count]}) | from_entries
    | map_values(quads(.[0]; .[1]));
  def expanded($underlays): map(. + {overlays: quads(.overlay; .count), underlays: $underlays["\(.underlay) \(.count)"]});

  # Of a tunnel: where its peers are for `ip`, and for the guard.
  def verb: if .type == "ipip" then "route" else "neigh" end;
  def marks: if .type == "ipip" then " onlink proto \($protocol)" else " nud permanent" end;
  def peer_set: if .type == "ipip" then "ipip_peers" else "peers" end;
  def ways($ranges): (if .type == "ipip" then " via " else " lladdr " end) as $at
    | [$ranges[] | .overlays as $overlays | .underlays as $underlays | range(.count) as $i
      | $overlays[$i] + $at + $underlays[$i]];
  def peer_elements($ranges): (if .type == "ipip" then " . " else " . \(.key) . " end) as $key
    | [$ranges[] | .overlay as $overlay | .underlays as $underlays | range(.count) as $i
      | "\($underlays[$i])\($key)\($overlay + $i)"];

  # What is to come, and what is to go. Of thousands mostly nothing, so the second question is asked only where the answer to
  # the first does not say it: what had is none twice.
  def differences($wanted; $had):
    if $had == [] then {come: $wanted, go: []}
    else (reduce $wanted[] as $each ({}; .[$each] = true)) as $is_wanted
      | [$had[] | select($is_wanted[.] | not)] as $go
      | {$go, come: (if ($is_wanted | length) == ($had | length) - ($go | length) then [] else $wanted | without($had) end)}
      end;

  # Commands for `nft`, with which a set has what is wanted and nothing else.
  def elements($verb; $set):
    if . == [] then empty
    else "\($verb) element inet causeway_tunnel \($set) { \(.[0])", (.[1:][] | ", " + .), " }\n" end;
  def set_commands($set; $wanted; $had): differences($wanted; $had)
    | (.go | elements("delete"; $set)), (.come | elements("add"; $set));

  # Commands for `ip`, of a tunnel, for the same with its peers.
  def way_commands($wanted; $had): verb as $verb | marks as $marks | .device as $device | differences($wanted; $had)
    | (if .go == [] then [] else .go | map(split(" ")[0]) | without($wanted | map(split(" ")[0])) end
        | map("\($verb) del \(.) dev \($device)"))
      + (.come | map("\($verb) replace \(.) dev \($device)\($marks)"));
'

# Files may become others while this runs: who sends them does not wait.
wanted_is_read() {
  local file
  WANTED=$(<"$STATE") SCRIPTS=''
  sources_of tunnel
  for file in "${SOURCES[@]:1}"; do SCRIPTS+=$(<"$file"); done
}

# Leaves what is to be done as a plan: records as tunnel.sh has them. What is not valid is said by who compares all.
peers_alone_differ() {
  is_for_real && [[ -s $RECONCILED/state && ! -e $RUN/pending/tunnel ]] || return 1
  file_says "$RECONCILED/scripts" "$SCRIPTS" || return 1
  # shellcheck disable=SC2016 # $ is jq's
  jq -j -n "$CHECKS $PEERS"'
    def without_peers: .tunnels |= map(.peers = []);
    $was[0] as $was | $is[0] as $is
    | if $was == $is or ($was | without_peers) != ($is | without_peers) then empty
      else ($is | tunnel_kind) as $kind
      | [$is.tunnels | to_entries[] | .key as $i | .value
          | select(.peers != $was.tunnels[$i].peers)
          | {namespace: .namespace | namespace, device: .device | tunnel_device, key: .key | whole(0; 4294967295),
              type: (if $kind == "ipip" then $kind else "gre" end),
              was: $was.tunnels[$i].peers | peer_ranges, is: .peers | peer_ranges}
          | .was as $old | .is as $new | .was |= rest($new) | .is |= rest($old)]
      | ([.[] | .was[], .is[]] | underlays) as $underlays
      | map(.was |= expanded($underlays) | .is |= expanded($underlays)) as $changes
      | set_commands($changes[0] | peer_set; $changes | map(peer_elements(.is)[]); $changes | map(peer_elements(.was)[])),
        "\u001e",
        ($changes[] | batch(.namespace; way_commands(ways(.is); ways(.was))))
      end
    ' --slurpfile was "$RECONCILED/state" --slurpfile is "$STATE" --arg protocol "$PROTOCOL" >"$RUN/plan" 2>/dev/null &&
    [[ -s $RUN/plan ]]
}

# The plan of `peers_alone_differ`. False: the kernel has not what it was left with.
peers_are_changed() {
  peers_are_forgotten
  { guard_is '' yes && run_batches; } <"$RUN/plan"
}

# Only whole, and only what this has done from its first line to its last.
peers_are_remembered() {
  is_for_real || return 0
  [[ $(<"$STATE") == "$WANTED" ]] || return 0
  [[ -d $RECONCILED ]] || mkdir -p "$RECONCILED"
  printf '%s' "$SCRIPTS" >"$RECONCILED/scripts"
  printf '%s' "$WANTED" >"$RECONCILED/state.new"
  mv "$RECONCILED/state.new" "$RECONCILED/state"
}

peers_are_forgotten() {
  ! is_for_real || [[ ! -d $RECONCILED ]] || : >"$RECONCILED/state"
}
