"""What must hold in every stack's resource graph. A rule returns what breaks it, as text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network

from tests.unit import program_rules_pair
from tests.unit.program import COMMAND, PRIVATE_KEY, received_files
from tests.unit.program_schema import accepts
from tests.unit.pulumi_mocks import SECRET, UNKNOWN, Graph, Json

Rule = Callable[[Graph], Iterator[str]]

INSTANCE = "aws:ec2/instance:Instance"
ENI = "aws:ec2/networkInterface:NetworkInterface"
ATTACHMENT = "aws:ec2/networkInterfaceAttachment:NetworkInterfaceAttachment"
VPC = "aws:ec2/vpc:Vpc"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"

OLDER_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"  # both directions and many networks in one

PACKAGES_STATE = "/etc/causeway/packages.json"
PACKAGE_PORTS = ({"fromPort": 80, "toPort": 80}, {"fromPort": 443, "toPort": 443})


def no_way_in_from_everywhere(graph: Graph) -> Iterator[str]:
    """No ingress, SSH least of all, from more than a /8, nor from a list that stands elsewhere."""
    for key, entry in graph.of_type(INGRESS).items():
        inputs = entry["inputs"]
        wide = "cidrIpv4" in inputs and IPv4Network(inputs["cidrIpv4"]).prefixlen < 8
        if wide or {"cidrIpv6", "prefixListId"}.intersection(inputs):
            yield key


def ssh_from_the_operator_only(graph: Graph) -> Iterator[str]:
    """TCP 22 is open to the operator's networks and to the bastion's group, and no other rule covers it."""
    operators = graph.outputs["access"]["operator_cidrs"]
    bastion = [key for key in graph.of_type(GROUP) if key.endswith("-bastion")]
    for key, entry in graph.of_type(INGRESS).items():
        inputs = entry["inputs"]
        if inputs["ipProtocol"] != "tcp" or not inputs["fromPort"] <= 22 <= inputs["toPort"]:
            continue
        if inputs.get("cidrIpv4") not in operators and not set(entry["dependsOn"]).intersection(bastion):
            yield key


def groups_open_nothing_by_themselves(graph: Graph) -> Iterator[str]:
    """Rules are resources of their own, of the types that other rules here look at, and the default group of
    each VPC is taken over and empty.
    """
    yield from graph.of_type(OLDER_RULE)
    for key, entry in graph.of_type(GROUP, DEFAULT_GROUP).items():
        if "ingress" in entry["inputs"] or "egress" in entry["inputs"]:
            yield key
    emptied = {
        dependency for entry in graph.of_type(DEFAULT_GROUP).values() for dependency in entry["dependsOn"]
    }
    yield from (key for key in graph.of_type(VPC) if key not in emptied)


def descriptions_are_what_ec2_takes(graph: Graph) -> Iterator[str]:
    """Of groups and rules: at most 255 of few characters. An apostrophe is none of them."""
    for key, entry in graph.of_type(GROUP, INGRESS, EGRESS).items():
        if not re.fullmatch(
            r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}", entry["inputs"].get("description", "")
        ):
            yield key


def every_protocol_only_on_user_enis(graph: Graph) -> Iterator[str]:
    """A rule for all protocols belongs to a user ENI's group and names one of its tenant's networks."""
    tenants = graph.outputs["tenants"]
    for key, entry in graph.of_type(INGRESS, EGRESS).items():
        if entry["inputs"]["ipProtocol"] != "-1":
            continue
        of_eni = {f"{GROUP}::tenant-{name}-eni": tenant["cidrs"] for name, tenant in tenants.items()}
        if not any(
            group in entry["dependsOn"] and entry["inputs"].get("cidrIpv4") in cidrs
            for group, cidrs in of_eni.items()
        ):
            yield key


def out_to_everywhere_for_packages_only(graph: Graph) -> Iterator[str]:
    """To the internet go HTTP and HTTPS, if anything."""
    for key, entry in graph.of_type(EGRESS).items():
        inputs = entry["inputs"]
        wide = "cidrIpv6" in inputs or IPv4Network(inputs.get("cidrIpv4", "127.0.0.1/32")).prefixlen < 8
        ports = {name: inputs.get(name) for name in ("fromPort", "toPort")}
        if wide and (inputs["ipProtocol"] != "tcp" or ports not in PACKAGE_PORTS):
            yield key


def packages_can_be_fetched(graph: Graph) -> Iterator[str]:
    """A host that is told to install packages may talk HTTP and HTTPS to everywhere."""
    ports: dict[str, set[int]] = {}
    for entry in graph.of_type(EGRESS).values():
        if entry["inputs"].get("cidrIpv4") == "0.0.0.0/0":
            ports.setdefault(entry["inputs"]["securityGroupId"], set()).add(entry["inputs"].get("fromPort"))
    for key, entry in graph.of_type(COMMAND).items():
        state = json.loads(received_files(entry["inputs"]["stdin"]).get(PACKAGES_STATE, "{}"))
        groups = graph.resources[entry["deletedWith"]]["inputs"]["vpcSecurityGroupIds"] if state else ()
        if state.get("install") and not {80, 443} <= set().union(*(ports.get(group, ()) for group in groups)):
            yield key


def imdsv2_is_required(graph: Graph) -> Iterator[str]:
    """Tokens required, and only the host itself can get one."""
    for key, entry in graph.of_type(INSTANCE).items():
        options = entry["inputs"].get("metadataOptions", {})
        if options.get("httpTokens") != "required" or options.get("httpPutResponseHopLimit") != 1:
            yield key


def root_disks_are_encrypted(graph: Graph) -> Iterator[str]:
    """Every instance says so."""
    for key, entry in graph.of_type(INSTANCE).items():
        if entry["inputs"].get("rootBlockDevice", {}).get("encrypted") is not True:
            yield key


def source_dest_check_is_off_on_proxies_alone(graph: Graph) -> Iterator[str]:
    """A pair and its user ENIs send with HaVips that have just left, or are just coming.

    A single proxy may become one of a pair, and no instance that has a second ENI can have its check changed: so its
    own is off too, and an instance that is there already is left alone. User ENIs follow the redundancy.
    """
    is_pair = graph.outputs["plan"]["redundancy"] == "pair"
    for key, entry in graph.of_type(INSTANCE, ENI).items():
        role = entry["inputs"]["tags"]["causeway:role"]
        is_off = role == "proxy" or (role == "user-eni" and is_pair)
        is_left_alone = "sourceDestCheck" in entry.get("ignoreChanges", ())
        if entry["inputs"].get("sourceDestCheck", True) is is_off or is_left_alone is not (role == "proxy"):
            yield key


def everything_is_tagged(graph: Graph) -> Iterator[str]:
    """Whatever takes tags has a name and says what stack it is of."""
    for key, entry in graph.resources.items():
        tags = entry["inputs"].get("tags", {})
        if accepts(key.split("::")[0], "tags") and not ("Name" in tags and len(tags) > 1):
            yield key


def no_floating_address_is_an_input(graph: Graph) -> Iterator[str]:
    """Only primary addresses are named, and what an API call adds to a user ENI is left alone."""
    for key, entry in graph.of_type(INSTANCE, ENI).items():
        inputs = entry["inputs"]
        if len(inputs.get("privateIps", [])) > 1 or {
            "secondaryPrivateIps",
            "privateIpsCount",
            "privateIpLists",
        }.intersection(inputs):
            yield key
    for key, entry in graph.of_type(ENI).items():
        if entry.get("ignoreChanges") != ["privateIps", "privateIpsCount", "privateIpLists"]:
            yield key


def addresses_are_freed_before_they_are_taken(graph: Graph) -> Iterator[str]:
    """An instance has a fixed address, an attachment a device index: the old one goes first."""
    for key, entry in graph.of_type(INSTANCE, ATTACHMENT).items():
        if not entry.get("deleteBeforeReplace"):
            yield key


def commands_follow_their_instance(graph: Graph) -> Iterator[str]:
    """A replaced host is configured again; with a deleted one nobody tries to talk."""
    for key, entry in graph.of_type(COMMAND).items():
        instance = entry.get("deletedWith", "")
        host = instance.removeprefix(f"{INSTANCE}::").removesuffix("-instance")
        if (
            not host
            or f"::{host}-" not in key
            or entry.get("replacementTrigger") != f"{host}-instance-id"
            or "replaceWith" in entry  # deletes Commands before the engine has loaded their provider
        ):
            yield key


def commands_only_reconcile(graph: Graph) -> Iterator[str]:
    """The same text makes and mends a host; nothing undoes, nothing is put where sshd refuses it."""
    for key, entry in graph.of_type(COMMAND).items():
        inputs = entry["inputs"]
        if (
            {"delete", "triggers", "environment"}.intersection(inputs)
            or inputs["create"] != "sudo bash -s"
            or inputs.get("update", inputs["create"]) != inputs["create"]
            or inputs.get("addPreviousOutputInEnv") is not False
        ):
            yield key


def no_secret_in_plain(graph: Graph) -> Iterator[str]:
    """The private key stands in secrets only, and no output holds it at all."""
    for key, entry in graph.resources.items():
        if _shows(entry["inputs"], PRIVATE_KEY.split("\n")[1]):
            yield key
    if _shows(graph.outputs, PRIVATE_KEY.split("\n")[1]) or _shows(graph.outputs, SECRET):
        yield "outputs"


def _shows(value: Json, text: str) -> bool:
    """Whether the text occurs outside of secrets; a secret itself counts as the text `SECRET`."""
    if isinstance(value, dict):
        if SECRET in value:
            return text == SECRET
        return any(_shows(item, text) for item in value.values())
    if isinstance(value, list):
        return any(_shows(item, text) for item in value)
    return isinstance(value, str) and value != UNKNOWN and text in value


RULES: tuple[Rule, ...] = (
    *program_rules_pair.RULES,
    no_way_in_from_everywhere,
    ssh_from_the_operator_only,
    groups_open_nothing_by_themselves,
    descriptions_are_what_ec2_takes,
    every_protocol_only_on_user_enis,
    out_to_everywhere_for_packages_only,
    packages_can_be_fetched,
    imdsv2_is_required,
    root_disks_are_encrypted,
    source_dest_check_is_off_on_proxies_alone,
    everything_is_tagged,
    no_floating_address_is_an_input,
    addresses_are_freed_before_they_are_taken,
    commands_follow_their_instance,
    commands_only_reconcile,
    no_secret_in_plain,
)
