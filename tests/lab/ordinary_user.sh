#!/usr/bin/env bash
# In a mount namespace of its own, as root: what the machine looks like to somebody without rights; then stays.
#   ordinary_user.sh UID NAME HOME IMAGE CLOSED… -- SHOWN…      see ordinary_user.py
set -euo pipefail
uid=$1 name=$2 home=$3 image=$4
shift 4
readonly stage=/mnt devices=(/dev/net/tun /dev/kvm)

main() {
  local closed=()
  while [[ $1 != -- ]]; do closed+=("$1") && shift; done
  shift
  cd /
  mount -t tmpfs -o mode=755 stage "$stage"
  keep image "$image"
  keep_all "$@"
  for directory in "${closed[@]}"; do mount -t tmpfs -o mode=755 closed "$directory"; done
  show_all "$@"
  home_is_the_users
  devices_are_open
  user_has_a_name
  echo ready
  cat
  exit # so that this shell stays, and buries whom nobody else does
}

keep() { mkdir "$stage/$1" && mount --rbind "$2" "$stage/$1"; }

keep_all() {
  local number=0 path
  for path; do keep "shown$((++number))" "$path"; done
}

show_all() {
  local number=0 path
  for path; do mkdir -p "$path" && mount --rbind "$stage/shown$((++number))" "$path"; done
}

home_is_the_users() {
  local ram copy number=0
  mkdir -p "$home"
  mount -t tmpfs -o "mode=700,uid=$uid,gid=$uid" own "$home"
  install -d -o "$uid" -g "$uid" "${image%/*}" "$image"
  mount --bind "$stage/image" "$image"
  mount -o remount,bind,ro "$image"
  # QEMU opens a guest's memory for writing, although it then copies what it writes to: a copy of the user's own.
  for ram in "$image"/*/ram; do
    copy=$stage/ram$((++number))
    cp --sparse=always "$ram" "$copy"
    chown "$uid" "$copy"
    mount --bind "$copy" "$ram"
  done
}

devices_are_open() {
  local device copy
  for device in "${devices[@]}"; do
    [[ -e $device ]] || continue
    copy=$stage/${device##*/}
    cp --archive "$device" "$copy"
    chmod 666 "$copy"
    mount --bind "$copy" "$device"
  done
}

user_has_a_name() {
  { cat /etc/passwd && echo "$name:x:$uid:$uid::/home/$name:/bin/sh"; } >"$stage/passwd"
  mount --bind "$stage/passwd" /etc/passwd
}

main "$@"
