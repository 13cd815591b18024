# shellcheck shell=bash
# What a new instance must not share with its siblings, or gets from its metadata. Once per instance.

HOST_KEY=/etc/ssh/ssh_host_ed25519_key
SSHD_PID=/run/sshd.pid
SSHD_DEADLINE_S=10

# The clock of a machine that was restored from a saved state stands where it was saved; the RTC goes on.
clock_is_set() {
  local now
  read -r now </sys/class/rtc/rtc0/since_epoch && date --set "@$now.5" >/dev/null
}

# In the background, while the metadata is asked for: makes the key, then lets the SSH server read it, which was
# started in the template with a key that nobody has any more.
host_key_is_being_made() {
  local pid
  [[ -s $HOST_KEY ]] && return
  [[ ! -e $HOST_KEY ]] || rm "$HOST_KEY" # empty: the machine was killed before it reached the disk
  {
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$HOST_KEY" </dev/null
    if [[ -s $SSHD_PID ]]; then
      read -r pid <"$SSHD_PID"
      : >"$SSHD_PID"
      kill -HUP "$pid"
    else
      systemctl restart ssh.service
    fi
  } &
  KEY_MAKER=$!
}

# Nobody may reach the SSH server before: it writes its pid when it listens with the new key.
host_key_is_in_use() {
  local deadline=$((SECONDS + SSHD_DEADLINE_S))
  [[ -z ${KEY_MAKER-} ]] || wait "$KEY_MAKER" # a bare wait would also wait for `ip monitor`
  until [[ -s $SSHD_PID ]]; do
    if ((SECONDS > deadline)); then
      systemctl restart ssh.service
      return
    fi
    pause 0.02
  done
}

# The journal of the template goes on under the new id: restarting journald would hold up the first logins.
machine_id_is_new() {
  local old uuid
  read -r old </etc/machine-id
  read -r uuid </proc/sys/kernel/random/uuid
  echo "${uuid//-/}" >/etc/machine-id
  ln -s "$old" "/var/log/journal/${uuid//-/}"
}

# hostname_is NAME: also resolvable, without which sudo and keepalived wait for a name server.
hostname_is() {
  local short=${1%%.*}
  echo "$short" >/proc/sys/kernel/hostname
  echo "$short" >/etc/hostname
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost ip6-loopback\n' "$1 $short" >/etc/hosts
}

# login_key_is KEY: the only one of the image's user.
login_key_is() {
  echo "$1" >/home/admin/.ssh/authorized_keys
}

# console_key_is KEY: whoever runs the cloud gets in beside the owner, as through a serial console.
console_key_is() {
  echo "$1" >>/home/admin/.ssh/authorized_keys
  echo "$1" >/root/.ssh/authorized_keys
}
