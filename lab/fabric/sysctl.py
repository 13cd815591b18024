"""Settings that make the calling thread's network namespace a router nobody sees."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.errors import LabError
from lab.fabric.tools import ttl_tools

SYSCTL = Path("/proc/sys/net")
ROUTER = {  # to be set before there are devices: they take over `default`
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv6/conf/default/disable_ipv6": "1",
}
LIBERAL_TRACKING = (
    "netfilter/nf_conntrack_tcp_be_liberal"  # groups and NAT look at addresses, not at TCP windows
)
KEEP_TTL = "*mangle\n-A PREROUTING -j TTL --ttl-inc 1\nCOMMIT\n"


def sysctl(key: str, value: str) -> None:
    """Write a setting of the calling thread's namespace; a kernel without IPv6 has none of its settings."""
    path = SYSCTL / key
    if key.startswith("ipv6/") and not path.exists():
        return
    path.write_text(value)


def keep_ttl() -> None:
    """Give every packet that enters the calling thread's namespace what forwarding will take from its TTL."""
    errors = []
    for tool in ttl_tools():
        done = subprocess.run([tool, "--noflush"], input=KEEP_TTL, capture_output=True, text=True)
        if done.returncode == 0:
            return
        errors.append(f"{tool}: {done.stderr.strip()}")
    raise LabError(
        "TTLs cannot be kept: " + ("; ".join(errors) or "no iptables is installed"),
        hint="run: apt-get install iptables; the kernel needs xt_HL, and iptable_mangle or nft_compat",
    )
