#!/usr/bin/env bash
# A hook of mmdebstrap: finishes the root that is at $1, in which the guest files are already.
set -euo pipefail
root=$1
here=$(cd "${0%/*}" && pwd)

run() { chroot "$root" "$@"; }

run useradd --create-home --shell /bin/bash admin
# "*" is no password; "!", which useradd writes, is a locked account, which sshd refuses even with a key.
run usermod --password '*' admin
run install -d -o admin -g admin -m 0700 /home/admin/.ssh
run install -o admin -g admin -m 0600 /dev/null /home/admin/.ssh/authorized_keys
run install -d -m 0700 /root/.ssh

# Nobody looks at these; each costs an emulated boot up to seconds.
run systemctl --quiet mask getty.target getty-static.service systemd-networkd.service systemd-pstore.service \
  systemd-binfmt.service systemd-update-utmp.service systemd-update-utmp-runlevel.service apt-daily.timer \
  apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  systemd-timesyncd.service systemd-tpm2-setup.service systemd-tpm2-setup-early.service \
  systemd-hostnamed.socket systemd-udev-load-credentials.service kmod-static-nodes.service \
  systemd-sysusers.service sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount
# Installed for hosts that want them, as from a stock image: off until configured.
run systemctl --quiet disable conntrackd.service keepalived.service nftables.service
run systemctl --quiet enable ec2-agent.service ec2-agent-wait-online.service template-ready.service

# Each reload of systemd runs all of these; none finds anything on a guest.
mkdir -p "$root/etc/systemd/system-generators"
for generator in debug getty gpt-auto hibernate-resume rc-local run ssh system-update sysv tpm2; do
  ln -s /dev/null "$root/etc/systemd/system-generators/systemd-$generator-generator"
done

# An emulated CPU unpacks each module that it loads; the disk is sparse anyway.
find "$root/usr/lib/modules" -name '*.ko.xz' -exec xz --decompress {} +
for kernel in "$root"/usr/lib/modules/*; do run depmod "${kernel##*/}"; done

# What klibc-utils has is small and in its place already: /usr/lib/klibc/bin.
initrd=$root/boot/initrd
mkdir -p "$initrd"/{bin,usr/lib,dev,root}
cp "$here/initrd/init" "$root"/usr/lib/modules/*/kernel/drivers/block/virtio_blk.ko "$initrd"
cp "$root"/usr/lib/klibc/bin/{sh,mount,insmod,run-init} "$initrd/bin"
cp "$root"/usr/lib/klibc-*.so "$initrd/usr/lib"
run sh -c 'cd /boot/initrd && find . | cpio --quiet -o -H newc >/boot/initrd.cpio'
rm -rf "$initrd"

# New for each instance, or only true while building.
rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/hostname "$root"/etc/resolv.conf "$root"/etc/update-motd.d/* \
  "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
: >"$root/etc/machine-id"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
echo '/dev/vda / ext4 defaults 0 0' >"$root/etc/fstab"
