"""Valid configurations of every kind, for properties of settings and plans."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from components.validation.ranges import FIRST_FREE
from tests.unit.settings_cases import as_single, base

# Loaded machines are slow: nothing is timed.
lightly = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])

_TENANTS = 7  # what a proxy of the type below serves; the highest index, too
_PROXY_TYPE = "c7gn.4xlarge"


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Any mode of access, number of hosts and tenants; networks of many sizes and places. All valid."""
    config = base("existing")
    config["platform"], func, proxy = _platform(draw)
    count = draw(st.integers(1, min(100, func.num_addresses - 5)))
    last_start = func.num_addresses - 1 - count
    config["func_hosts"] |= {
        "count": count,
        "first_address": str(func[draw(st.integers(FIRST_FREE, last_start))]),
    }
    config |= _proxies(draw, proxy)
    if draw(st.booleans()):
        config["access"]["mode"] = "public"
        del config["access"]["bastion_instance_type"], config["platform"]["access_subnet"]
    indexes = draw(st.lists(st.integers(1, _TENANTS), unique=True, max_size=_TENANTS))
    bastion = config["access"]["mode"] == "bastion"
    config["tenants"] = [_tenant(draw, index, count, existing=bastion) for index in indexes]
    return config if draw(st.booleans()) else as_single(config)


def _proxies(draw: st.DrawFn, subnet: IPv4Network) -> dict[str, Any]:
    """Pairs, with their HaVips and the endpoint anywhere else in the subnet, as far as that has room for several."""
    fewer: dict[str, int] = {}
    pairs = 1
    if subnet.num_addresses >= 64 and (per_pair := draw(st.sampled_from([0, 2, 3]))):
        fewer, pairs = {"tenants_per_pair": per_pair}, -(-_TENANTS // per_pair)
    first = draw(st.integers(FIRST_FREE, subnet.num_addresses - 1 - 2 * pairs))
    free = range(FIRST_FREE, subnet.num_addresses - 1)
    taken = {*range(first, first + 2 * pairs)}
    havip = draw(
        st.sampled_from(
            [at for at in free if not taken & {*range(at, at + pairs)} and at + pairs - 1 in free]
        )
    )
    taken |= {*range(havip, havip + pairs)}
    endpoint = draw(st.sampled_from([at for at in free if at not in taken]))
    ways = [{"way": "own"}, {"way": "endpoint", "endpoint_address": str(subnet[endpoint]), "scheme": "http"}]
    return {
        "redundancy": "pair",
        "proxy": {
            "first_address": str(subnet[first]),
            "havip": str(subnet[havip]),
            "instance_type": _PROXY_TYPE,
            **fewer,
        },
        "api": draw(st.sampled_from(ways)),
    }


def _platform(draw: st.DrawFn) -> tuple[dict[str, str], IPv4Network, IPv4Network]:
    vpc = IPv4Network(f"192.168.{16 * draw(st.integers(0, 15))}.0/20")
    access, proxy, func = list(vpc.subnets(new_prefix=22))[:3]
    func = next(func.subnets(new_prefix=draw(st.integers(22, 28))))
    proxy = next(proxy.subnets(new_prefix=draw(st.integers(22, 28))))
    networks = {"vpc_cidr": vpc, "func_subnet": func, "proxy_subnet": proxy, "access_subnet": access}
    return {key: str(network) for key, network in networks.items()}, func, proxy


def _tenant(draw: st.DrawFn, index: int, hosts: int, *, existing: bool) -> dict[str, Any]:
    """Tenant N has 10.N.0.0/16, or what tenant 1 has; overlays in 100.64+N.0.0/16, so that no two meet."""
    vpc = IPv4Network(f"10.{draw(st.sampled_from([index, 1]))}.0.0/16")
    subnet = draw(st.sampled_from(list(vpc.subnets(new_prefix=draw(st.integers(16, 20))))))
    # Not at the end, from where addresses are counted that the operator leaves out; ENIs have two in a row.
    offsets = st.integers(FIRST_FREE // 2, (subnet.num_addresses - 8) // 2).map(lambda half: 2 * half)
    eni, instance, havip = draw(st.lists(offsets, min_size=3, max_size=3, unique=True))
    if draw(st.booleans()):
        instance = subnet.num_addresses - 2
    tenant: dict[str, Any] = {
        "name": f"tenant-{index}",
        "index": index,
        "cidrs": [str(subnet)],
        "overlay": _overlay(draw, index, hosts),
    }
    if not existing and draw(st.booleans()):
        tenant["create"] = {
            "vpc_cidr": str(vpc),
            "subnet_cidr": str(subnet),
            "instance_address": str(subnet[instance]),
            "instance_type": "t4g.small",
        }
        if draw(st.booleans()):
            tenant["havip"] = str(subnet[havip])
    else:
        tenant["havip"] = str(subnet[havip])
        tenant |= {"subnet_id": f"subnet-0123456789abcdef{index}"}
        tenant["vpc_id"] = f"vpc-0123456789abcdef{index}"
    if draw(st.booleans()):
        tenant["user_eni_address"] = str(subnet[eni])
    if draw(st.booleans()):
        tenant["container_cidr"] = f"100.{96 + index}.0.0/{draw(st.integers(20, 30))}"
    return tenant


def _overlay(draw: st.DrawFn, index: int, hosts: int) -> dict[str, str]:
    narrowest = (
        32 - (hosts + 2).bit_length()
    )  # network, broadcast and the proxy's address, besides the hosts'
    overlay = IPv4Network((f"100.{64 + index}.0.0", draw(st.integers(16, narrowest))))
    first = draw(st.integers(1, overlay.num_addresses - 2 - hosts))
    proxy = draw(st.integers(1, overlay.num_addresses - 2).filter(lambda offset: offset != first))
    return {"cidr": str(overlay), "first_func": str(overlay[first]), "proxy": str(overlay[proxy])}
