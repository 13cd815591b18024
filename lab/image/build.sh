#!/usr/bin/env bash
# Builds a Debian root and what boots it, as root or as root of a user namespace:
#   build.sh SUITE MIRROR PACKAGES DIRECTORY APT_OPTION…
# DIRECTORY holds guest.tar, and gets root.raw, vmlinuz and initrd. Nothing is mounted outside of mmdebstrap's own
# mount namespace, and the tree is gone afterwards.
set -euo pipefail
suite=$1 mirror=$2 packages=$3 directory=$4
shift 4
here=$(cd "${0%/*}" && pwd)
tree=$directory/tree
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
disk_size=4G # of the guest's disk; sparse

trap 'rm -rf --one-file-system "$tree"' EXIT

apt_options=('--aptopt=APT::Install-Recommends "false"')
for option in "$@"; do apt_options+=("--aptopt=$option"); done

mmdebstrap --mode=root --variant=minbase --architectures=amd64 --include="$packages" --keyring="$keyring" \
  "${apt_options[@]}" \
  --dpkgopt=force-confold \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --essential-hook="tar-in '$directory/guest.tar' /" \
  --customize-hook="$here/customize.sh" \
  "$suite" "$tree" "deb $mirror $suite main"

cp "$tree"/boot/vmlinuz-* "$directory/vmlinuz"
mv "$tree/boot/initrd.cpio" "$directory/initrd"
# With a journal, because machines get killed; lazy tables keep the file small.
mkfs.ext4 -q -F -J size=16 -E lazy_itable_init=1,nodiscard -d "$tree" "$directory/root.raw" "$disk_size"
