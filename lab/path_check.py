"""Follow one connection per tenant from a func host to the user instance, and measure on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import paramiko

from lab import ssh as lab_ssh
from lab.daemon.client import Client
from lab.drawing import Hop, Link, draw
from lab.errors import LabError

Json = Any
HTTP_PORT = 8080


@dataclass(frozen=True, kw_only=True)
class Path:
    """What one connection met."""

    tenant: str
    tunnel: str  # its kind
    func_host: str
    proxy: str
    seen_address: str  # of the client, as the user instance saw it
    http_ms: float  # connect, ask and be answered
    proxy_rtt_ms: float
    user_rtt_ms: float
    underlay_mtu: int  # of the device that the func host's tunnel goes through
    mtu: Mapping[str, int]  # by "host device"


@dataclass(frozen=True)
class FromFuncHost:
    """What a func host met on one tenant's path."""

    seen_address: str
    http_ms: float
    proxy_rtt_ms: float
    user_rtt_ms: float
    underlay_mtu: int
    mtu: Mapping[str, int]


def check_paths(client: Client, outputs: Json) -> list[Path]:
    """One path per tenant that has a user instance; a path that does not work is a LabError."""
    func_host = first(outputs, "func")
    tenants = {name: tenant for name, tenant in outputs["tenants"].items() if tenant["user_instance"]}
    carriers = carriers_of(client, outputs, tenants)
    # At once: an emulated guest takes half a second to let somebody in.
    with ThreadPoolExecutor(1 + len(set(carriers.values()))) as pool:
        underlay = outputs["hosts"][func_host]["private_address"]
        from_func = pool.submit(ask_func_host, client, func_host, underlay, carriers, tenants)
        on_proxies = [
            pool.submit(ask_proxy, client, proxy, {n: t for n, t in tenants.items() if carriers[n] == proxy})
            for proxy in dict.fromkeys(carriers.values())
        ]
        met = from_func.result()
        devices = {name: found for future in on_proxies for name, found in future.result().items()}
    return [
        Path(
            tenant=name,
            tunnel=outputs["plan"]["tunnel"],
            func_host=func_host,
            proxy=carriers[name],
            seen_address=met[name].seen_address,
            http_ms=met[name].http_ms,
            proxy_rtt_ms=met[name].proxy_rtt_ms,
            user_rtt_ms=met[name].user_rtt_ms,
            underlay_mtu=met[name].underlay_mtu,
            mtu={**met[name].mtu, **devices[name]},
        )
        for name in tenants
    ]


def first(outputs: Json, role: str) -> str:
    """The first host of a role."""
    return str(min(name for name, host in outputs["hosts"].items() if host["role"] == role))


def carriers_of(client: Client, outputs: Json, tenants: Mapping[str, Json]) -> dict[str, str]:
    """By tenant, the proxy that its tunnels lead to: whoever of its pair has their remote."""
    hosts = client.call("status")["hosts"]
    return {
        name: carrier(hosts, next(p for p in outputs["plan"]["pairs"] if p["number"] == tenant["pair"]))
        for name, tenant in tenants.items()
    }


def carrier(hosts: Json, pair: Json) -> str:
    """The proxy of a pair that has the tunnels' remote."""
    remote, proxies = pair["tunnel_remote"], pair["proxies"]
    for host in hosts:
        if host["name"] in proxies and any(remote in eni["addresses"] for eni in host["enis"]):
            return str(host["name"])
    raise LabError(
        f"no proxy has {remote}, the tunnels' remote",
        hint=f"see what they say of it: lab exec {proxies[0]} -- /opt/causeway/pair status",
    )


def ask_func_host(
    client: Client, func_host: str, underlay: str, proxies: Mapping[str, str], tenants: Mapping[str, Json]
) -> dict[str, FromFuncHost]:
    """Go each tenant's way from a func host, by tenant; `underlay` is the address its tunnels begin at."""
    with lab_ssh.log_in(client, func_host) as session:
        device = device_with(session, underlay)
        return {
            name: go(session, func_host, device, proxies[name], name, tenant)
            for name, tenant in tenants.items()
        }


def go(
    session: paramiko.SSHClient, func_host: str, underlay: str, proxy: str, name: str, tenant: Json
) -> FromFuncHost:
    """One tenant's way, in a tunnel through the device `underlay`.

    The source says whose address is meant: another tenant may have the same.
    """
    address, source = tenant["user_instance"]["address"], tenant["func_overlay_addresses"][func_host]
    url = f"http://{address}:{HTTP_PORT}/"
    curl = f"curl -sS --fail --max-time 10 --interface {source} -w '\\n%{{time_total}}' {url}"
    answer = ask(session, curl, f"{func_host} → {url}")
    body, seconds = answer.rsplit("\n", 1)
    seen = str(json.loads(body)["client"])
    havip = tenant["havip"]
    own = {havip} if havip else {eni["private_address"] for eni in tenant["user_enis"].values()}
    if seen not in own:
        raise LabError(
            f"tenant {name}: the user instance saw {seen}, and not {' or '.join(sorted(own))}",
            hint=f"look at the NAT: lab exec {proxy} -- ip netns exec {tenant['namespace']} nft list ruleset",
        )
    device = tenant["tunnel_device"]
    return FromFuncHost(
        seen_address=seen,
        http_ms=float(seconds) * 1000,
        proxy_rtt_ms=round_trip_ms(session, tenant["proxy_overlay_address"], source, func_host),
        user_rtt_ms=round_trip_ms(session, address, source, func_host),
        underlay_mtu=mtu(session, underlay),
        mtu={f"{func_host} {device}": mtu(session, device)},
    )


def ask_proxy(client: Client, proxy: str, tenants: Mapping[str, Json]) -> dict[str, dict[str, int]]:
    """MTUs of the devices in each tenant's namespace, by tenant and then by "host device"."""
    with lab_ssh.log_in(client, proxy) as session:
        return {
            name: {
                f"{proxy} {device}": mtu(session, device, f"ip netns exec {tenant['namespace']} ")
                for device in (tenant["tunnel_device"], tenant["user_device"])
            }
            for name, tenant in tenants.items()
        }


def ask(session: paramiko.SSHClient, line: str, what: str) -> str:
    """Output of a shell line that must succeed."""
    done = lab_ssh.run(session, [line])
    if done.returncode:
        raise LabError(
            f"{what}: {done.stderr.decode(errors='replace').strip() or f'exit status {done.returncode}'}",
            hint="follow the packet: `lab capture proxy-0 eth0`, then `… mgre1`, then `… eth1`",
        )
    return done.stdout.decode()


def round_trip_ms(session: paramiko.SSHClient, address: str, source: str, host: str) -> float:
    """Smallest of five: what the path takes, not what else the machine was doing."""
    said = ask(session, f"ping -n -q -c 5 -i 0.05 -W 2 -I {source} {address}", f"{host}: ping {address}")
    numbers = re.search(r"= ([\d.]+)/", said)
    if numbers is None:
        raise LabError(f"{host}: ping {address} said nothing of time: {said}", hint="is it iputils' ping?")
    return float(numbers[1])


def mtu(session: paramiko.SSHClient, device: str, prefix: str = "") -> int:
    """MTU of a device in bytes."""
    return int(json.loads(ask(session, f"{prefix}ip -j link show dev {device}", device))[0]["mtu"])


def device_with(session: paramiko.SSHClient, address: str) -> str:
    """The device that has an address, whatever the kernel calls it."""
    (device,) = json.loads(ask(session, f"ip -j address show to {address}", address))
    return str(device["ifname"])


def picture(path: Path, outputs: Json) -> str:
    """The path as a drawing with what was measured on it."""
    tenant = outputs["tenants"][path.tenant]
    hosts = outputs["hosts"]
    device, user_device = tenant["tunnel_device"], tenant["user_device"]
    tunnel_mtu = path.mtu[f"{path.func_host} {device}"]
    user = tenant["user_instance"]
    hops = [
        Hop(
            path.func_host,
            (
                f"{device} {tenant['func_overlay_addresses'][path.func_host]}",
                f"eth0 {hosts[path.func_host]['private_address']}",
                f"MTU {tunnel_mtu} in {path.underlay_mtu}",
            ),
        ),
        Hop(
            f"{path.proxy} · {tenant['namespace']}",
            (
                f"{device} {tenant['proxy_overlay_address']} (eth0 {hosts[path.proxy]['private_address']})",
                f"{user_device} {path.seen_address}: SNAT",
                f"MTU {path.mtu[f'{path.proxy} {device}']} → {path.mtu[f'{path.proxy} {user_device}']}",
            ),
        ),
        Hop(
            user["name"],
            (user["address"], f"HTTP in {path.http_ms:.1f} ms", f"round trip {path.user_rtt_ms:.2f} ms"),
        ),
    ]
    links = [
        Link(_tunnel(path.tunnel, tenant), f"{path.proxy_rtt_ms:.2f} ms"),
        Link("user ENI", f"from {path.seen_address}"),
    ]
    return draw(hops, links)


def _tunnel(kind: str, tenant: Json) -> str:
    key = f"key {tenant['gre_key']}"
    return {"gre": f"GRE {key}", "gre-fou": f"GRE {key} in UDP", "ipip": "IPIP"}[kind]
