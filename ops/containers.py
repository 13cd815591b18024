"""How a container runtime on func hosts is told of the tenants' bridges, from a stack's outputs. Pure.

| runtime | what it gets | whose a container is |
|---|---|---|
| nerdctl, podman, Firecracker (CNI) | a network configuration list per tenant | by the network it is started with |
| Docker | a command that makes a network per tenant | by the network it is started with |
| Kubernetes | ConfigMap and DaemonSet of ip-masq-agent | nobody's: every pod reaches every tenant |
"""

from __future__ import annotations

import json
import shlex
from enum import StrEnum
from ipaddress import IPv4Network, collapse_addresses
from typing import Any

import yaml

from ops.errors import OpsError
from ops.outputs import Containers, Outputs

Json = dict[str, Any]
CNI_VERSION = "1.0.0"
AGENT = "ip-masq-agent"
AGENT_IMAGE = "registry.k8s.io/networking/ip-masq-agent:v2.8.0"
AGENT_RANGES = 64  # its cidrLimit; with more it refuses all of its configuration


class Runtime(StrEnum):
    """What starts containers."""

    CNI = "cni"
    DOCKER = "docker"
    KUBERNETES = "kubernetes"


def configuration(outputs: Outputs, runtime: Runtime, tenant: str | None) -> str:
    """The text for a runtime, of one tenant or of all that have containers. OpsError: why there is none."""
    if runtime is Runtime.KUBERNETES:
        if tenant is not None:
            raise OpsError(
                "with Kubernetes every pod reaches every tenant, so there is nothing for one of them",
                hint="leave the tenant out; or bind containers to tenants by their bridges: cni",
            )
        return kubernetes(outputs)
    with_containers = {name: each.containers for name, each in outputs.tenants.items() if each.containers}
    if tenant is not None and tenant not in outputs.tenants:
        raise OpsError(
            f"there is no tenant {tenant}", hint=f"there are: {', '.join(sorted(outputs.tenants))}"
        )
    if not with_containers or (tenant is not None and tenant not in with_containers):
        whose = "no tenant has" if tenant is None else f"{tenant} has no"
        raise OpsError(f"{whose} containers", hint="give it a container_cidr in the stack file, and run up")
    chosen = (
        {tenant: with_containers[tenant]} if tenant is not None else dict(sorted(with_containers.items()))
    )
    if runtime is Runtime.DOCKER:
        return "\n".join(docker(containers) for containers in chosen.values())
    lists = [cni(containers) for containers in chosen.values()]
    return json.dumps(lists[0] if tenant is not None else lists, indent=2)


def cni(containers: Containers) -> Json:
    """A network configuration list of the plugins bridge and host-local.

    The bridge, its address and all that leads on are there, so the plugin makes no gateway and masquerades nothing.
    """
    return {
        "cniVersion": CNI_VERSION,
        "name": containers.bridge,
        "plugins": [
            {
                "type": "bridge",
                "bridge": containers.bridge,
                "isGateway": False,
                "ipMasq": False,
                "mtu": containers.mtu,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": containers.cidr, "gateway": containers.gateway}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def docker(containers: Containers) -> str:
    """A command that has Docker use the bridge, as a network of the bridge's name."""
    options = {
        "com.docker.network.bridge.name": containers.bridge,
        "com.docker.network.bridge.enable_ip_masquerade": "false",
        "com.docker.network.driver.mtu": str(containers.mtu),
    }
    words = ["docker", "network", "create", "--driver", "bridge"]
    words += ["--subnet", containers.cidr, "--gateway", containers.gateway]
    words += [word for name, value in options.items() for word in ("--opt", f"{name}={value}")]
    return shlex.join([*words, containers.bridge])


def kubernetes(outputs: Outputs) -> str:
    """ConfigMap and DaemonSet of ip-masq-agent: what leaves the platform gets the address of the device it uses."""
    if outputs.plan.pod_cidr is None:
        raise OpsError(
            "func hosts let no pods into the tunnels",
            hint="set func_hosts.pod_cidr to the cluster's pod range in the stack file, and run up",
        )
    # Its defaults leave all of RFC 1918 alone, tenants' networks too. These ranges are never a tenant's network; what
    # hangs on a tenant's bridge gets its address from us.
    bridges = sorted(each.containers.cidr for each in outputs.tenants.values() if each.containers)
    ranges = map(IPv4Network, (outputs.plan.pod_cidr, outputs.plan.platform_cidr, *bridges))
    left_alone = [str(network) for network in collapse_addresses(ranges)]
    if len(left_alone) > AGENT_RANGES:
        raise OpsError(
            f"{AGENT} takes {AGENT_RANGES} ranges, and these are {len(left_alone)}",
            hint="give tenants container_cidrs that lie side by side, such as /24s of one /16",
        )
    settings = {
        "nonMasqueradeCIDRs": left_alone,
        "masqLinkLocal": False,
        "resyncInterval": "60s",
    }
    return yaml.safe_dump_all([_config_map(settings), _daemon_set()], sort_keys=False)


def _config_map(settings: Json) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": AGENT, "namespace": "kube-system"},
        "data": {"config": yaml.safe_dump(settings, sort_keys=False)},
    }


def _daemon_set() -> Json:
    """As the agent needs it: in the host's network, with the one capability that iptables asks for."""
    labels = {"k8s-app": AGENT}
    container = {
        "name": AGENT,
        "image": AGENT_IMAGE,
        "securityContext": {"privileged": False, "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}],
    }
    items = [{"key": "config", "path": AGENT}]
    pod = {
        "hostNetwork": True,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": AGENT, "optional": True, "items": items}}],
        "tolerations": [{"effect": "NoSchedule", "operator": "Exists"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": AGENT, "namespace": "kube-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
