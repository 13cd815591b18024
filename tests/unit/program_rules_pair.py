"""What must hold in the resource graph of a pair; a single proxy's has less of it. Like `program_rules`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.unit.program import COMMAND
from tests.unit.pulumi_mocks import Graph, Json

INSTANCE = "aws:ec2/instance:Instance"
ENI = "aws:ec2/networkInterface:NetworkInterface"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
RESERVATION = "aws:ec2/subnetCidrReservation:SubnetCidrReservation"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
PLACEMENT = "aws:ec2/placementGroup:PlacementGroup"
ROLE = "aws:iam/role:Role"
POLICY = "aws:iam/rolePolicy:RolePolicy"
OTHER_POLICIES = (
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/policyAttachment:PolicyAttachment",
    "aws:iam/policy:Policy",
)
PROFILE = "aws:iam/instanceProfile:InstanceProfile"
ACTION = "ec2:AssignPrivateIpAddresses"
PLATFORM = "platform"


def havips_are_only_reserved_and_told(graph: Graph) -> Iterator[str]:
    """No input but a reservation's and a host's state names a HaVip: an update would move it back."""
    havips = [re.escape(address) for address in _havips(graph).values()]
    named = re.compile(rf"(?<![0-9.])({'|'.join(havips)})(?![0-9])") if havips else None
    for key, entry in graph.resources.items():
        inputs = dict(entry["inputs"])
        if key.startswith(COMMAND):
            inputs.pop("stdin")
        if key.startswith(RESERVATION) or named is None:
            continue
        if named.search(json.dumps(inputs)):
            yield key


def every_havip_is_reserved(graph: Graph) -> Iterator[str]:
    """As exactly one address, in the subnet that it belongs to."""
    reserved = {
        (entry["inputs"]["subnetId"], entry["inputs"]["cidrBlock"])
        for entry in graph.of_type(RESERVATION).values()
        if entry["inputs"]["reservationType"] == "explicit"
    }
    subnets = {"platform": graph.resources[f"{INSTANCE}::proxy-0-instance"]["inputs"]["subnetId"]}
    for tenant, described in graph.outputs["tenants"].items():
        enis = graph.of_type(ENI).values()
        (subnet,) = {
            entry["inputs"]["subnetId"]
            for entry in enis
            if entry["inputs"]["tags"]["causeway:tenant"] == tenant
        }
        subnets[tenant] = subnet
        assert described["user_enis"].keys() == set(_pair_of(graph, described)["proxies"])
    for owner, address in _havips(graph).items():
        where = subnets[PLATFORM if owner.startswith(PLATFORM) else owner]
        if (where, f"{address}/32") not in reserved:
            yield owner


def roles_claim_for_their_own_interfaces_only(graph: Graph) -> Iterator[str]:
    """One action on one interface of the proxy whose role it is; of all of them, and each for its tenant.

    Other ones are allowed in the proxy's turn: until then it has the old interfaces, and may have to claim for them.
    """
    yield from graph.of_type(*OTHER_POLICIES)
    pairs = [pair for pair in graph.outputs["plan"]["pairs"] if pair["havip"] is not None]
    owned = {
        f"{POLICY}::{proxy}-claims-{owner}": f":network-interface/{_interface(graph, proxy, owner)}"
        for pair in pairs
        for proxy in pair["proxies"]
        for owner in (PLATFORM, *pair["tenants"])
    }
    policies = graph.of_type(POLICY)
    yield from policies.keys() ^ owned.keys()
    for key in policies.keys() & owned.keys():
        proxy = key.split("::")[1].partition("-claims-")[0]
        document = json.loads(policies[key]["inputs"]["policy"])
        (statement,) = document["Statement"] if len(document["Statement"]) == 1 else ({},)
        claimed = statement.pop("Resource", "")
        if (
            statement != {"Effect": "Allow", "Action": ACTION}
            or not isinstance(claimed, str)
            or claimed.partition(":123456789012")[2] != owned[key]
            or not {f"{ROLE}::{proxy}-role", f"{COMMAND}::{proxy}-steps-aside"}
            <= {*policies[key]["dependsOn"]}
        ):
            yield key


def _interface(graph: Graph, proxy: str, owner: str) -> str:
    """Its id, as the mocks have it."""
    if owner == PLATFORM:
        return f"{proxy}-instance-primary"
    (name,) = (
        name.split("::")[1]
        for name, eni in graph.of_type(ENI).items()
        if (eni["inputs"]["tags"]["causeway:proxy"], eni["inputs"]["tags"]["causeway:tenant"])
        == (proxy, owner)
    )
    return f"{name}-id"


def only_proxies_have_roles(graph: Graph) -> Iterator[str]:
    """Each its own."""
    for key, entry in graph.of_type(INSTANCE).items():
        host = key.split("::")[1].removesuffix("-instance")
        own = f"{PROFILE}::{host}-profile"
        profile = entry["inputs"].get("iamInstanceProfile")
        wanted = host in graph.outputs["plan"]["proxies"]
        if (profile is not None) != wanted or (wanted and own not in entry["dependsOn"]):
            yield key
    for key, entry in graph.of_type(PROFILE).items():
        if f"{ROLE}::{key.split('::')[1].removesuffix('-profile')}-role" not in entry["dependsOn"]:
            yield key


def vrrp_between_proxies_only(graph: Graph) -> Iterator[str]:
    """From the proxies' group to itself, and nothing of it from a network."""
    proxies = f"{GROUP}::platform-proxy"
    for key, entry in graph.of_type(INGRESS, EGRESS).items():
        if entry["inputs"]["ipProtocol"] == "112" and (
            entry["dependsOn"] != [proxies] or "cidrIpv4" in entry["inputs"]
        ):
            yield key


def endpoints_are_for_proxies_only(graph: Graph) -> Iterator[str]:
    """One port, from their group; the endpoint itself begins nothing, and lets nothing through but claims."""
    group, proxies = f"{GROUP}::platform-api", f"{GROUP}::platform-proxy"
    for key, entry in graph.of_type(INGRESS, EGRESS).items():
        of_group = entry["inputs"]["securityGroupId"] == "platform-api-id"
        ports = (entry["inputs"].get("fromPort"), entry["inputs"].get("toPort"))
        if of_group and (
            key.startswith(EGRESS)
            or entry["dependsOn"] != [group, proxies]
            or ports not in ((443, 443), (80, 80))
            or entry["inputs"]["ipProtocol"] != "tcp"
        ):
            yield key
    for key, entry in graph.of_type(ENDPOINT).items():
        (statement,) = json.loads(entry["inputs"].get("policy", '{"Statement": [{}]}'))["Statement"]
        if statement.get("Action") != ACTION or entry["inputs"].get("securityGroupIds") != [
            "platform-api-id"
        ]:
            yield key


def proxies_stand_apart(graph: Graph) -> Iterator[str]:
    """Those of a pair in one spread placement group, which is no other pair's: it takes seven instances."""
    taken: set[str] = set()
    for pair in graph.outputs["plan"]["pairs"]:
        made = graph.of_type(PLACEMENT).items()
        groups = {key for key, entry in made if entry["inputs"]["strategy"] == "spread"} - taken
        for proxy in pair["proxies"]:
            key = f"{INSTANCE}::{proxy}-instance"
            entry = graph.resources[key]
            groups &= set(entry["dependsOn"])
            if "placementGroup" not in entry["inputs"] or not groups:
                yield key
        taken |= groups


def a_pair_is_changed_one_proxy_at_a_time(graph: Graph) -> Iterator[str]:
    """What a proxy is told waits until it has stepped aside, and that waits until the proxy before is ready.

    The instances themselves wait for nobody: the first time all are made at once. Nor does a pair for another.
    """
    for pair in graph.outputs["plan"]["pairs"]:
        if len(pair["proxies"]) == 2:
            others = set(graph.outputs["plan"]["proxies"]) - set(pair["proxies"])
            yield from _not_in_turn(graph, pair["proxies"], others)


def _not_in_turn(graph: Graph, proxies: list[str], others: set[str]) -> Iterator[str]:
    before: str | None = None
    for proxy in proxies:
        aside, ready = (f"{COMMAND}::{proxy}-{step}" for step in ("steps-aside", "ready"))
        told = [key for key in graph.of_type(COMMAND) if key.startswith(f"{COMMAND}::{proxy}-")]
        for key in told:
            waits_for = all_before(graph, key)
            if (key != aside and aside not in waits_for) or (before is not None and before not in waits_for):
                yield key
            if any(f"{COMMAND}::{other}-ready" in waits_for for other in others):
                yield key
        if not {key for key in told if key != ready} <= all_before(graph, ready):
            yield ready
        if any(key.startswith(COMMAND) for key in all_before(graph, f"{INSTANCE}::{proxy}-instance")):
            yield f"{INSTANCE}::{proxy}-instance"
        before = ready


def _pair_of(graph: Graph, tenant: Json) -> Json:
    return next(pair for pair in graph.outputs["plan"]["pairs"] if pair["number"] == tenant["pair"])


def _havips(graph: Graph) -> dict[str, str]:
    """By owner; the platform's of a further pair with its number."""
    havips = {name: tenant["havip"] for name, tenant in graph.outputs["tenants"].items()}
    havips |= {f"{PLATFORM}-{pair['number']}": pair["havip"] for pair in graph.outputs["plan"]["pairs"]}
    return {owner: address for owner, address in havips.items() if address is not None}


def all_before(graph: Graph, key: str) -> set[str]:
    """What a resource waits for, directly or not."""
    found: set[str] = set()
    waiting: list[Json] = [key]
    while waiting:
        for dependency in graph.resources[waiting.pop()].get("dependsOn", ()):
            if dependency not in found:
                found.add(dependency)
                waiting.append(dependency)
    return found


RULES = (
    havips_are_only_reserved_and_told,
    every_havip_is_reserved,
    roles_claim_for_their_own_interfaces_only,
    only_proxies_have_roles,
    vrrp_between_proxies_only,
    endpoints_are_for_proxies_only,
    proxies_stand_apart,
    a_pair_is_changed_one_proxy_at_a_time,
)
