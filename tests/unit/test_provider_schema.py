"""What the stand-ins know, what they refuse, and that their names are the real plugins'."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import pytest
from pulumi import _types

from lab.providers.aws.functions import FUNCTIONS
from lab.providers.aws.provider import AwsProvider
from lab.providers.aws.resources import RESOURCES
from lab.providers.command.provider import CommandProvider
from lab.providers.plugin.errors import ProviderError
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop, Schema
from lab.providers.plugin.values import UNKNOWN, Asset

VPC = "aws:ec2/vpc:Vpc"
INSTANCE = "aws:ec2/instance:Instance"
COMMAND = "command:remote:Command"
COPY = "command:remote:CopyToRemote"


def urn(type_name: str) -> Urn:
    return Urn(f"urn:pulumi:test::unit::causeway:host:Host${type_name}::it")


def failures(type_name: str, inputs: Mapping[str, Any]) -> list[str]:
    provider = AwsProvider() if type_name.startswith("aws") else CommandProvider(lambda _urn, _line: None)
    return [failure.reason for failure in provider.check(urn(type_name), {}, inputs, b"seed").failures]


def test_an_unknown_type_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ProviderError, match=r"does not know the type aws:s3/bucket:Bucket; known: aws:ec2/"):
        AwsProvider().check(urn("aws:s3/bucket:Bucket"), {}, {}, b"")
    with pytest.raises(
        ProviderError, match=r"does not know the type command:local:Command; known: command:rem"
    ):
        CommandProvider(lambda _urn, _line: None).check(urn("command:local:Command"), {}, {}, b"")


def test_an_unknown_function_is_named() -> None:
    with pytest.raises(
        ProviderError, match="does not know the function aws:s3/getBucket:getBucket; known: aws:"
    ):
        AwsProvider().invoke("aws:s3/getBucket:getBucket", {})


def test_an_unknown_property_is_named_with_those_that_are_known() -> None:
    (failure,) = failures(VPC, {"cidrBlock": "10.0.0.0/16", "ipv6CidrBlock": "auto"})
    assert failure.startswith(
        "aws's stand-in in the lab does not know aws:ec2/vpc:Vpc's ipv6CidrBlock; known: "
    )
    assert "enableDnsSupport" in failure


def test_an_unknown_nested_property_is_named_by_its_path() -> None:
    (failure,) = failures(
        INSTANCE,
        {"ami": "ami-1", "instanceType": "t3.small", "metadataOptions": {"httpProtocolIpv6": "enabled"}},
    )
    assert "Instance's metadataOptions.httpProtocolIpv6; known: httpEndpoint" in failure


def test_all_problems_are_said_at_once() -> None:
    found = failures(
        INSTANCE, {"instanceType": 3.0, "rootBlockDevice": {"encrypted": "yes"}, "colour": "red"}
    )
    assert [text for text in found if "colour" in text]
    assert "aws:ec2/instance:Instance's instanceType must be a string, not 3.0" in found
    assert "aws:ec2/instance:Instance's rootBlockDevice.encrypted must be a boolean, not 'yes'" in found
    assert "aws:ec2/instance:Instance needs ami" in found


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Kind.STRING, "a", 1.0),
        (Kind.INT, 1.0, 1.5),
        (Kind.NUMBER, 1.5, True),
        (Kind.BOOL, True, "true"),
        (Kind.STRINGS, ["a", UNKNOWN], ["a", 1.0]),
        (Kind.STRING_SET, [], "a"),
        (Kind.STRING_MAP, {"a": "b", "c": UNKNOWN}, {"a": 1.0}),
        (Kind.DOCUMENT, {"a": 1.0}, 1.0),
        (Kind.OBJECT, {}, []),
        (Kind.OBJECTS, [{}, UNKNOWN], [1.0]),
        (Kind.ASSET, Asset("s", "h", path="p"), "p"),
        (Kind.VALUES, [1.0, "a"], {}),
    ],
)
def test_kinds(kind: Kind, good: object, bad: object) -> None:
    schema = Schema("aws", "t", {"p": Prop(kind=kind)})
    assert not schema.check({"p": good})
    assert not schema.check({"p": UNKNOWN}), "what is not known yet cannot be wrong"
    assert schema.check({"p": bad})[0].path == "p"


def test_a_long_wrong_value_is_not_printed() -> None:
    schema = Schema("command", "t", {"p": Prop(one_of=("a", "b"))})
    (failure,) = schema.check({"p": "s" * 100})
    assert "sss" not in failure.reason
    assert "a string of 100 characters" in failure.reason


def test_a_security_group_rule_has_one_peer_and_ports_only_where_there_are_ports() -> None:
    rule = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    assert not failures(rule, {"securityGroupId": "sg", "ipProtocol": "47", "cidrIpv4": "10.0.0.0/8"})
    assert failures(rule, {"securityGroupId": "sg", "ipProtocol": "47"})
    two = {"cidrIpv4": "10.0.0.0/8", "referencedSecurityGroupId": "sg-2"}
    assert failures(rule, {"securityGroupId": "sg", "ipProtocol": "47", **two})
    ports = {"fromPort": 1.0, "toPort": 2.0}
    assert failures(rule, {"securityGroupId": "sg", "ipProtocol": "47", "cidrIpv4": "10.0.0.0/8", **ports})


def test_defaults_and_automatic_names() -> None:
    provider = AwsProvider()
    group = "aws:ec2/securityGroup:SecurityGroup"
    first = provider.check(urn(group), {}, {"vpcId": "vpc-1"}, b"one").inputs
    assert first["description"] == "Managed by Pulumi"
    assert first["name"].startswith("it-")
    again = provider.check(urn(group), first, {"vpcId": "vpc-1"}, b"two").inputs
    assert again["name"] == first["name"], "an automatic name stays for life"
    other = provider.check(urn(group), {}, {"vpcId": "vpc-1"}, b"two").inputs
    assert other["name"] != first["name"]


def test_connection_defaults_are_the_real_plugins() -> None:
    provider = CommandProvider(lambda _urn, _line: None)
    inputs = provider.check(urn(COMMAND), {}, {"connection": {"host": "h"}}, b"").inputs
    connection = {"host": "h", "port": 22.0, "user": "root", "dialErrorLimit": 10.0, "perDialTimeout": 15.0}
    assert inputs == {"connection": connection, "addPreviousOutputInEnv": True}


def test_a_copy_must_know_its_source_even_in_a_preview() -> None:
    (failure,) = failures(COPY, {"connection": {"host": "h"}, "source": UNKNOWN, "remotePath": "/tmp/x"})
    assert failure == "either asset or archive must be set"


MODULES = {
    "aws": "pulumi_aws",
    "command": "pulumi_command",
}


def real_class(token: str) -> type:
    """The class of the real SDK: `aws:ec2/vpc:Vpc` is pulumi_aws.ec2.Vpc."""
    package, module, name = token.split(":")
    of = importlib.import_module(f"{MODULES[package]}.{module.partition('/')[0]}")
    found: type = getattr(of, name)
    return found


def real_names(token: str) -> set[str]:
    """Inputs and outputs, as the real SDK names them on the wire."""
    found = real_class(token)
    module = importlib.import_module(found.__module__)
    # NetworkInterfaceAttachmentArgs is a nested type; the resource's own has another suffix then.
    own = f"{found.__name__}Args" if hasattr(module, f"{found.__name__}Args") else f"{found.__name__}InitArgs"
    arguments = getattr(module, own)
    return {*_types.input_type_types(arguments), *_types.resource_types(found)}


@pytest.mark.parametrize("token", sorted(RESOURCES))
def test_names_of_properties_are_the_real_plugins(token: str) -> None:
    resource = RESOURCES[token]
    assert {*resource.inputs, *resource.outputs} - real_names(token) == set()


@pytest.mark.parametrize("token", [COMMAND, COPY])
def test_names_of_command_properties_are_the_real_plugins(token: str) -> None:
    schema = CommandProvider(lambda _urn, _line: None)._types[token].schema
    assert {*schema.inputs, *schema.outputs} == real_names(token), "all of them, and no other"


@pytest.mark.parametrize("token", sorted(FUNCTIONS))
def test_functions_exist_in_the_real_sdk(token: str) -> None:
    _, module, name = token.split(":")
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    path = module.partition("/")[0]
    of = importlib.import_module("pulumi_aws" if path == "index" else f"pulumi_aws.{path}")
    assert callable(getattr(of, snake))
