"""What container runtimes are told, from a stack's outputs."""

from __future__ import annotations

import json
import shlex

import pytest
import yaml

from ops.containers import Runtime, configuration
from ops.errors import OpsError
from ops.outputs import Outputs, parse_outputs
from tests.unit import ops_pair

ALPHA = {
    "bridge": "cw-alpha",
    "cidr": "10.88.0.0/24",
    "gateway": "10.88.0.1",
    "mtu": 8973,
    "routing_table": 201_000_001,
}
PLATFORM = "192.168.0.0/16"


def outputs(*, containers: bool = True, pod_cidr: str | None = None) -> Outputs:
    data = ops_pair.outputs_json()
    data["tenants"]["beta"] = dict(data["tenants"]["alpha"])
    if containers:
        data["tenants"]["alpha"]["containers"] = ALPHA
    data["plan"] |= {"pod_cidr": pod_cidr, "platform_cidr": PLATFORM}
    return parse_outputs(data, "a stack")


def test_cni_has_the_bridge_and_makes_no_router_of_the_host() -> None:
    told = json.loads(configuration(outputs(), Runtime.CNI, "alpha"))
    (plugin,) = told["plugins"]
    assert (told["name"], plugin["bridge"], plugin["mtu"]) == ("cw-alpha", "cw-alpha", 8973)
    assert (plugin["isGateway"], plugin["ipMasq"]) == (False, False)
    assert plugin["ipam"]["ranges"] == [[{"subnet": "10.88.0.0/24", "gateway": "10.88.0.1"}]]
    assert json.loads(configuration(outputs(), Runtime.CNI, None)) == [told]


def test_docker_uses_the_bridge_and_masquerades_nothing() -> None:
    words = shlex.split(configuration(outputs(), Runtime.DOCKER, None))
    assert words[:3] == ["docker", "network", "create"]
    assert words[-1] == "cw-alpha"
    assert {
        "com.docker.network.bridge.name=cw-alpha",
        "com.docker.network.bridge.enable_ip_masquerade=false",
        "com.docker.network.driver.mtu=8973",
    } <= {*words}


def test_kubernetes_leaves_alone_what_is_no_tenants_network_and_no_more() -> None:
    text = configuration(outputs(pod_cidr="10.244.0.0/16"), Runtime.KUBERNETES, None)
    config_map, daemon_set = yaml.safe_load_all(text)
    settings = yaml.safe_load(config_map["data"]["config"])
    assert sorted(settings["nonMasqueradeCIDRs"]) == sorted(["10.244.0.0/16", PLATFORM, "10.88.0.0/24"])
    (volume,) = daemon_set["spec"]["template"]["spec"]["volumes"]
    assert volume["configMap"]["name"] == config_map["metadata"]["name"] == "ip-masq-agent"
    assert volume["configMap"]["items"] == [{"key": "config", "path": "ip-masq-agent"}]
    pod = daemon_set["spec"]["template"]["spec"]
    assert pod["hostNetwork"] is True
    (container,) = pod["containers"]
    assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/etc/config"}]
    assert container["securityContext"] == {
        "privileged": False,
        "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]},
    }


def with_bridges(*cidrs: str) -> Outputs:
    data = ops_pair.outputs_json()
    data["plan"] |= {"pod_cidr": "10.244.0.0/16", "platform_cidr": PLATFORM}
    one = data["tenants"]["alpha"]
    data["tenants"] = {f"t{n}": one | {"containers": ALPHA | {"cidr": cidr}} for n, cidr in enumerate(cidrs)}
    return parse_outputs(data, "a stack")


def test_kubernetes_agent_takes_no_more_than_64_ranges() -> None:
    """And with more masquerades nothing, which only its log says."""
    side_by_side = with_bridges(*(f"100.64.{n}.0/24" for n in range(256)))
    assert "100.64.0.0/16" in configuration(side_by_side, Runtime.KUBERNETES, None)
    most = [f"100.64.{2 * n}.0/24" for n in range(63)]
    assert most[61] in configuration(with_bridges(*most[:62]), Runtime.KUBERNETES, None)
    with pytest.raises(OpsError, match="takes 64 ranges, and these are 65"):
        configuration(with_bridges(*most), Runtime.KUBERNETES, None)


@pytest.mark.parametrize(
    ("made", "runtime", "tenant", "said"),
    [
        (outputs(), Runtime.CNI, "gamma", "there is no tenant gamma"),
        (outputs(), Runtime.CNI, "beta", "beta has no containers"),
        (outputs(containers=False), Runtime.DOCKER, None, "no tenant has containers"),
        (outputs(), Runtime.KUBERNETES, None, "set func_hosts.pod_cidr"),
        (outputs(pod_cidr="10.244.0.0/16"), Runtime.KUBERNETES, "alpha", "every pod reaches every tenant"),
    ],
)
def test_what_is_not_there_is_said(made: Outputs, runtime: Runtime, tenant: str | None, said: str) -> None:
    with pytest.raises(OpsError) as caught:
        configuration(made, runtime, tenant)
    assert said in str(caught.value)
