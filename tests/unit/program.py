"""The program under mocks, for one of the stacks in `stacks/`, and its graph as people want to read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.unit.pulumi_mocks import SECRET, UNKNOWN, CallFailedError, Graph, Json, run_program

PROJECT = Path(__file__).resolve().parent.parent.parent
STACKS = PROJECT / "stacks"
STACK_FILES = sorted(path.stem.removeprefix("Pulumi.") for path in STACKS.glob("Pulumi.*.yaml"))
ACCOUNT = "123456789012"
EC2_ARN = f"arn:aws:ec2:us-east-1:{ACCOUNT}"
NEWEST_IMAGE = "ami-00deb1a1300000000"
COMMAND = "command:remote:Command"

_PAIR = Ed25519PrivateKey.generate()
PUBLIC_KEY = _PAIR.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
PRIVATE_KEY = _PAIR.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()

LAB_PAIR = "lab"
LAB_SINGLE = "lab-single"  # not a file: the lab's stack with one proxy
LAB_PAIRS = "lab-pairs"  # nor this: with a second tenant, of the same addresses, on a second pair
ALL_STACKS = [*STACK_FILES, LAB_SINGLE, LAB_PAIRS]
Configuration = dict[str, Any]
Change = Callable[[Configuration], None]


def run_stack(
    stack: str,
    *,
    change: Change = lambda _: None,
    preview: bool = False,
    subnets: Mapping[str, Mapping[str, str]] | None = None,
    previous: Mapping[str, Json] | None = None,
    holders: Mapping[str, Mapping[str, Json]] | None = None,
) -> Graph:
    """The whole program with the stack's file, changed by `change`, and the operator's key pair.

    `subnets` are what AWS answers about existing ones, by id; without it, what the stack expects. `previous` are the
    stack's outputs after its last update; without it, there was none. `holders` are network interfaces in existing
    subnets, by an address that they have; without it, there are none.
    """
    configuration = stack_configuration(stack)
    change(configuration)
    known = expected_subnets(configuration) if subnets is None else subnets
    return run_program(
        PROJECT / "__main__.py",
        stack=file_of(stack),
        project="causeway",
        configuration={key: _as_pulumi_keeps_it(value) for key, value in configuration.items()},
        secrets=frozenset({"causeway:private_key"}),
        computed=computed_by_aws,
        invoke=lambda token, arguments: _answer(known, previous or {}, holders or {}, token, arguments),
        preview=preview,
    )


@cache
def graph_of(stack: str, *, preview: bool = False) -> Graph:
    """The stack as its file has it. The same graph for every test, so none may change it."""
    return run_stack(stack, preview=preview)


def alpha(**changes: Json) -> Change:
    """Settings of the first tenant."""
    return lambda configuration: configuration["causeway:tenants"][0].update(changes)


def set_in(section: str, **changes: Json) -> Change:
    """Settings of a section."""
    return lambda configuration: configuration[f"causeway:{section}"].update(changes)


def become_pair(configuration: Configuration) -> None:
    """The lab's stack with one proxy gets what a pair needs."""
    configuration["causeway:redundancy"] = "pair"
    configuration["causeway:proxy"]["havip"] = "192.168.4.100"
    configuration["causeway:api"] = {
        "way": "endpoint",
        "endpoint_address": "192.168.4.200",
        "scheme": "http",
    }
    for tenant in configuration["causeway:tenants"]:
        tenant["havip"] = str(IPv4Network(tenant["cidrs"][0])[100])


def file_of(stack: str) -> str:
    """The stack whose file a stack is made from."""
    return stack if stack in STACK_FILES else "lab"


def get_second_pair(configuration: Configuration) -> None:
    """The lab's stack gets another tenant, the first one's twin, whose index asks for the next pair."""
    (alpha,) = configuration["causeway:tenants"]
    overlay = {"cidr": "10.0.2.0/24", "proxy": "10.0.2.4", "first_func": "10.0.2.3"}
    beta = {**alpha, "name": "beta", "index": 3, "overlay": overlay, "container_cidr": "10.88.2.0/24"}
    configuration["causeway:tenants"].append(beta)


def stack_configuration(stack: str) -> Configuration:
    """The stack's file with the key pair that the operator adds."""
    file = STACKS / f"Pulumi.{file_of(stack)}.yaml"
    configuration: Configuration = yaml.safe_load(file.read_text())["config"]
    if stack == LAB_SINGLE:
        configuration["causeway:redundancy"] = "single"
    if stack == LAB_PAIRS:
        get_second_pair(configuration)
    configuration["causeway:access"]["public_key"] = PUBLIC_KEY
    configuration.pop("causeway:private_key_file", None)
    configuration["causeway:private_key"] = PRIVATE_KEY
    return configuration


def expected_subnets(configuration: Configuration) -> dict[str, dict[str, str]]:
    """Existing user subnets as they should be: this account's, in the right zone and VPC."""
    return {
        tenant["subnet_id"]: {
            "id": tenant["subnet_id"],
            "vpcId": tenant["vpc_id"],
            "ownerId": ACCOUNT,
            "availabilityZone": configuration["causeway:availability_zone"],
            "cidrBlock": tenant["cidrs"][0],
        }
        for tenant in configuration["causeway:tenants"]
        if "subnet_id" in tenant
    }


def computed_by_aws(kind: str, name: str, inputs: Mapping[str, Json]) -> dict[str, Json]:
    """Outputs that the program uses and that only AWS knows. The same for the same name."""
    seed = sum(name.encode()) % 200 + 10
    match kind:
        case "aws:ec2/instance:Instance":
            arn = f"{EC2_ARN}:instance/{name}-id"
            return {"arn": arn, "primaryNetworkInterfaceId": f"{name}-primary"}
        case "aws:ec2/eip:Eip":
            return {"publicIp": f"198.19.{seed}.{len(name)}"}
        case "aws:ec2/networkInterface:NetworkInterface":
            addresses = inputs.get("privateIps") or [f"172.31.{seed}.{len(name)}"]
            return {
                "arn": f"{EC2_ARN}:network-interface/{name}-id",
                "macAddress": f"02:00:00:00:{len(name):02x}:{seed:02x}",
                "privateIp": addresses[0],
            }
        case (
            "aws:iam/role:Role"
            | "aws:iam/instanceProfile:InstanceProfile"
            | "aws:ec2/placementGroup:PlacementGroup"
        ):
            return {"name": f"{name}-0123456"}
        case _:
            return {}


def _answer(
    subnets: Mapping[str, Mapping[str, str]],
    previous: Mapping[str, Json],
    holders: Mapping[str, Mapping[str, Json]],
    token: str,
    arguments: Mapping[str, Json],
) -> Mapping[str, Json]:
    match token:
        case "pulumi:pulumi:readStackOutputs":
            assert arguments["name"].startswith("organization/causeway/"), "its own stack"
            return {"name": arguments["name"], "outputs": previous}
        case "aws:index/getCallerIdentity:getCallerIdentity":
            return {"accountId": ACCOUNT, "arn": "arn", "id": ACCOUNT, "userId": "user"}
        case "aws:ec2/getNetworkInterfaces:getNetworkInterfaces":
            asked = {f["name"]: f["values"] for f in arguments["filters"]}
            assert asked.keys() == {"subnet-id", "addresses.private-ip-address"}
            addresses = asked["addresses.private-ip-address"]
            return {"id": "us-east-1", "ids": [holders[a]["id"] for a in addresses if a in holders]}
        case "aws:ec2/getNetworkInterface:getNetworkInterface":
            return next(eni for eni in holders.values() if eni["id"] == arguments["id"])
        case "aws:ssm/getParameter:getParameter":
            return {"name": arguments["name"], "insecureValue": NEWEST_IMAGE, "value": NEWEST_IMAGE}
        case "aws:ec2/getSubnet:getSubnet" if "error" in subnets.get(arguments["id"], {}):
            raise CallFailedError(subnets[arguments["id"]]["error"])
        case "aws:ec2/getSubnet:getSubnet" if arguments["id"] in subnets:
            return subnets[arguments["id"]]
        case "aws:ec2/getSubnet:getSubnet":
            raise CallFailedError(
                f"InvalidSubnetID.NotFound: the subnet ID '{arguments['id']}' does not exist"
            )
        case _:
            raise NotImplementedError(token)


def _as_pulumi_keeps_it(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def readable(graph: Graph) -> Json:
    """The graph without what changes for reasons of its own: scripts appear by name, keys not at all."""
    return {
        "outputs": _masked(graph.outputs),
        "resources": {key: _readable_entry(key, entry) for key, entry in sorted(graph.resources.items())},
    }


def _readable_entry(key: str, entry: dict[str, Json]) -> Json:
    entry = _masked(entry)
    if not key.startswith(COMMAND):
        return entry
    if "receive_file" in entry["inputs"]["stdin"]:
        entry["inputs"]["stdin"] = {
            path: json.loads(text) if path.endswith(".json") else "…"
            for path, text in received_files(entry["inputs"]["stdin"]).items()
        }
    elif entry["inputs"]["stdin"] != UNKNOWN:
        entry["inputs"]["stdin"] = {f"{step_of(entry['inputs']['stdin'])[0]} DIGEST": "…"}
    return entry


def step_of(stdin: str) -> tuple[str, str, list[str]]:
    """What a pair's proxy does in a Command around a change, the digest of that, and more words."""
    step, digest, *more = stdin.split("\nmain() {\n", 1)[1].splitlines()[0].split()
    return step, digest, more


def received_files(stdin: str) -> dict[str, str]:
    """What a Command installs, by path. Reads the text the way the shell does."""
    files: dict[str, str] = {}
    lines = iter(stdin.split("main() {\n", 1)[1].splitlines(keepends=True))
    for line in lines:
        if line.startswith("receive_file "):
            _, path, _, here = line.split()
            end = here.removeprefix("<<").strip("'") + "\n"
            files[path] = "".join(iter(lambda: next(lines), end))
    return files


def _masked(value: Json) -> Json:
    """Secrets stay marked; of what is secret only the key itself is hidden. The keys are new in every run."""
    if isinstance(value, dict):
        return {name: _masked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return (
        {PRIVATE_KEY: SECRET, PUBLIC_KEY: "<public key>"}.get(value, value)
        if isinstance(value, str)
        else value
    )
