"""What of the aws stand-in is not one resource's life: previews, replacements, configuration, recovery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lab.providers.aws.client import Aws, AwsError
from lab.providers.aws.config import Config, read_config
from lab.providers.aws.marks import STACK_MARK, URN_MARK
from lab.providers.aws.orphans import delete_orphans, find_orphans
from lab.providers.aws.provider import AwsProvider
from lab.providers.aws.resources import route_table
from lab.providers.plugin.errors import InvalidInputsError, PartlyMadeError, ProviderError
from lab.providers.plugin.values import UNKNOWN, Secret
from tests.unit.provider_cloud import DEBIAN_13, Resources, running_cloud, urn

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
TABLE = "aws:ec2/routeTable:RouteTable"
ROUTE = "aws:ec2/route:Route"
IGW = "aws:ec2/internetGateway:InternetGateway"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
ENI = "aws:ec2/networkInterface:NetworkInterface"
ATTACHMENT = "aws:ec2/networkInterfaceAttachment:NetworkInterfaceAttachment"
INSTANCE = "aws:ec2/instance:Instance"
NOWHERE = Config(region="us-east-1", endpoint="http://127.0.0.1:9", access_key="a", secret_key="b")
OURS = "unit/test"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Resources]:
    """Shared: tests make VPCs of their own."""
    with running_cloud() as resources:
        yield resources


def subnet(cloud: Resources) -> tuple[str, str]:
    """A new VPC and a subnet in it."""
    vpc, _, _ = cloud.create(VPC, "v", {"cidrBlock": "10.1.0.0/16"})
    made, _, _ = cloud.create(SUBNET, "s", {"vpcId": vpc, "cidrBlock": "10.1.1.0/24"})
    return vpc, made


def test_a_preview_asks_nobody_and_leaves_open_what_the_cloud_decides() -> None:
    offline = AwsProvider(Aws(NOWHERE))
    inputs = offline.check(urn(ENI, "e"), {}, {"subnetId": UNKNOWN, "privateIps": ["10.0.0.5"]}, b"").inputs
    state = offline.create(urn(ENI, "e"), inputs, preview=True).state
    assert state["macAddress"] is UNKNOWN
    assert state["privateIps"] == ["10.0.0.5"]
    old = {**inputs, "subnetId": "subnet-1"}
    new = {**old, "tags": {"a": "b"}}
    known = {**old, "macAddress": "02:00:00:00:00:01", "tagsAll": {}}
    updated = offline.update(urn(ENI, "e"), "eni-1", old, known, new, preview=True)
    assert updated["macAddress"] == "02:00:00:00:00:01", "what does not change stays known"
    assert updated["tagsAll"] is UNKNOWN


@pytest.mark.parametrize(
    ("type_name", "old", "new", "replaced"),
    [
        (VPC, {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.1.0.0/16"}, ["cidrBlock"]),
        (INSTANCE, {"ami": "a", "instanceType": "t"}, {"ami": "b", "instanceType": "u"}, ["ami"]),
        (INSTANCE, {"ami": "a", "userData": "x"}, {"ami": "a", "userData": "y"}, []),
        (
            INSTANCE,
            {"ami": "a", "userData": "x", "userDataReplaceOnChange": True},
            {"ami": "a", "userData": "y", "userDataReplaceOnChange": True},
            ["userData"],
        ),
        (
            INSTANCE,
            {"rootBlockDevice": {"encrypted": False, "volumeSize": 8.0}},
            {"rootBlockDevice": {"encrypted": True, "volumeSize": 9.0}},
            ["rootBlockDevice"],
        ),
    ],
)
def test_what_needs_another_object(
    type_name: str, old: dict[str, object], new: dict[str, object], replaced: list[str]
) -> None:
    changes = AwsProvider().diff(urn(type_name, "x"), "id", old, {}, new).changes
    assert changes
    assert sorted({change.key for change in changes if change.replaces}) == replaced


def test_an_error_of_the_cloud_is_one_line_with_its_code(cloud: Resources) -> None:
    vpc, _ = subnet(cloud)
    inputs = cloud.checked(SUBNET, "twin", {"vpcId": vpc, "cidrBlock": "10.1.1.0/24"})
    with pytest.raises(AwsError) as caught:
        cloud.provider.create(urn(SUBNET, "twin"), inputs, preview=False)
    assert str(caught.value).startswith("CreateSubnet: InvalidSubnet.Conflict: ")
    assert "\n" not in str(caught.value)


def test_the_check_of_an_instance_with_two_interfaces_cannot_be_changed(cloud: Resources) -> None:
    """As with the real provider, which names the instance and not its interface."""
    _, subnet_id = subnet(cloud)
    ami = cloud.aws.call("ssm", "get_parameter", Name=DEBIAN_13)["Parameter"]["Value"]
    inputs = {"ami": ami, "instanceType": "t3.small", "subnetId": subnet_id, "sourceDestCheck": False}
    instance, old, state = cloud.create(INSTANCE, "i", inputs)
    assert state["sourceDestCheck"] is False, "it is made with the check off"
    eni, _, _ = cloud.create(ENI, "second", {"subnetId": subnet_id})
    cloud.create(ATTACHMENT, "a", {"instanceId": instance, "networkInterfaceId": eni, "deviceIndex": 1})
    new = cloud.checked(INSTANCE, "i", {**inputs, "sourceDestCheck": True}, old)
    with pytest.raises(AwsError, match="ModifyInstanceAttribute: InvalidInstanceID: "):
        cloud.provider.update(urn(INSTANCE, "i"), instance, old, state, new, preview=False)


def test_an_endpoint_that_does_not_answer_is_an_error_and_not_a_hang() -> None:
    provider = AwsProvider(Aws(NOWHERE))
    inputs = provider.check(urn(VPC, "v"), {}, {"cidrBlock": "10.0.0.0/16"}, b"").inputs
    with pytest.raises(AwsError, match=r"CreateVpc: EndpointConnectionError: .*127\.0\.0\.1:9"):
        provider.create(urn(VPC, "v"), inputs, preview=False)


def test_drift_shows_as_other_inputs(cloud: Resources) -> None:
    vpc, inputs, state = cloud.create(VPC, "v", {"cidrBlock": "10.9.0.0/16", "tags": {"a": "b"}})
    cloud.aws.ec2("create_tags", Resources=[vpc], Tags=[{"Key": "by", "Value": "hand"}])
    found = cloud.provider.read(urn(VPC, "v"), vpc, state, inputs)
    assert found.inputs["tags"] == {"a": "b", "by": "hand"}
    (change,) = cloud.provider.diff(urn(VPC, "v"), vpc, found.inputs, found.state, inputs).changes
    assert change.path == "tags.by"
    cloud.provider.update(urn(VPC, "v"), vpc, found.inputs, found.state, inputs, preview=False)
    assert cloud.provider.read(urn(VPC, "v"), vpc, state, inputs).inputs["tags"] == {"a": "b"}


def test_an_eni_reads_every_address_it_has(cloud: Resources) -> None:
    _, subnet_id = subnet(cloud)
    eni, inputs, state = cloud.create(ENI, "e", {"subnetId": subnet_id, "privateIps": ["10.1.1.5"]})
    cloud.aws.ec2("assign_private_ip_addresses", NetworkInterfaceId=eni, PrivateIpAddresses=["10.1.1.100"])
    found = cloud.provider.read(urn(ENI, "e"), eni, state, inputs)
    assert found.inputs["privateIps"] == ["10.1.1.100", "10.1.1.5"]
    # A program that names only one of them takes the other away; one that ignores changes does not.
    ignoring = {**inputs, "privateIps": found.inputs["privateIps"], "tags": {"a": "b"}}
    cloud.provider.update(urn(ENI, "e"), eni, found.inputs, found.state, ignoring, preview=False)
    assert cloud.provider.read(urn(ENI, "e"), eni, state, inputs).state["privateIpsCount"] == 1
    cloud.provider.update(urn(ENI, "e"), eni, found.inputs, found.state, inputs, preview=False)
    assert cloud.provider.read(urn(ENI, "e"), eni, state, inputs).state["privateIps"] == ["10.1.1.5"]


def test_default_tags_are_on_the_object_and_not_in_tags(cloud: Resources) -> None:
    config = read_config(
        {
            "defaultTags": '{"tags": {"owner": "me"}}',
            "endpoints": f'[{{"ec2": "{cloud.aws.config.endpoint}"}}]',
            "accessKey": cloud.aws.config.access_key,
            "secretKey": cloud.aws.config.secret_key,
        },
        {},
    )
    provider = AwsProvider(Aws(config))
    inputs = provider.check(urn(VPC, "d"), {}, {"cidrBlock": "10.5.0.0/16", "tags": {"a": "b"}}, b"").inputs
    state = provider.create(urn(VPC, "d"), inputs, preview=False).state
    assert state["tags"] == {"a": "b"}
    assert state["tagsAll"] == {"a": "b", "owner": "me"}


def test_configuration_that_means_nothing_here_is_refused() -> None:
    with pytest.raises(ProviderError, match="does not know aws:assumeRoles; known: aws:accessKey"):
        read_config({"assumeRoles": "[]"}, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})


def test_without_an_endpoint_nothing_starts() -> None:
    with pytest.raises(ProviderError, match="needs the lab's endpoint"):
        read_config({"region": "us-east-1"}, {})


def test_a_failure_after_making_keeps_the_object(cloud: Resources) -> None:
    vpc, _ = subnet(cloud)
    inputs = cloud.checked(IGW, "first", {"vpcId": vpc})
    cloud.provider.create(urn(IGW, "first"), inputs, preview=False)
    with pytest.raises(PartlyMadeError) as caught:  # a VPC has one gateway at most
        cloud.provider.create(urn(IGW, "second"), inputs, preview=False)
    assert caught.value.id.startswith("igw-")
    other, _ = subnet(cloud)
    mended = {**inputs, "vpcId": other}
    state = cloud.provider.update(
        urn(IGW, "second"), caught.value.id, inputs, caught.value.state, mended, preview=False
    )
    assert state["vpcId"] == other, "the next run goes on from there"


class TestRecovery:
    """A run that died: what it made is found, and only that."""

    def test_every_new_object_is_marked(self, cloud: Resources) -> None:
        vpc, _, _ = cloud.create(VPC, "marked", {"cidrBlock": "10.7.0.0/16"})
        filters = [{"Name": "resource-id", "Values": [vpc]}]
        tags = {t["Key"]: t["Value"] for t in cloud.aws.ec2("describe_tags", Filters=filters)["Tags"]}
        assert tags == {STACK_MARK: OURS, URN_MARK: str(urn(VPC, "marked").text)}

    def test_what_no_state_knows_is_removed_in_order(self, cloud: Resources) -> None:
        died = replace(cloud, stack="died")
        vpc, subnet_id = subnet(died)
        ami = cloud.aws.call("ssm", "get_parameter", Name=DEBIAN_13)["Parameter"]["Value"]
        spread, _, _ = died.create("aws:ec2/placementGroup:PlacementGroup", "p", {"strategy": "spread"})
        wanted = {"ami": ami, "instanceType": "t3.small", "subnetId": subnet_id, "placementGroup": spread}
        instance, _, _ = died.create(INSTANCE, "i", wanted)
        group, _, _ = died.create(GROUP, "g", {"vpcId": vpc})
        eni, _, _ = died.create(ENI, "e", {"subnetId": subnet_id, "securityGroups": [group]})
        died.create(ATTACHMENT, "a", {"instanceId": instance, "networkInterfaceId": eni, "deviceIndex": 1})
        service = {"vpcId": vpc, "serviceName": "com.amazonaws.us-east-1.ec2", "vpcEndpointType": "Interface"}
        within = {"subnetIds": [subnet_id], "securityGroupIds": [group]}
        endpoint, _, _ = died.create("aws:ec2/vpcEndpoint:VpcEndpoint", "s", {**service, **within})
        key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBvYFmfbV9iUoVq7g2RmCz3wyLhzdpQFqLfXdHPVxhYB t"
        died.create("aws:ec2/keyPair:KeyPair", "k", {"keyName": "k", "publicKey": key})
        trust = {"Version": "2012-10-17", "Statement": []}
        died.create("aws:iam/role:Role", "r", {"name": "r", "assumeRolePolicy": trust})
        removed = [orphan.id for orphan in delete_orphans(cloud.aws, "unit/died", {vpc, subnet_id})]
        assert set(removed) == {instance, eni, group, endpoint, spread, "k", "r"}
        assert removed.index(instance) < removed.index(spread)
        assert removed.index(endpoint) < removed.index(group)
        assert removed.index(instance) < removed.index(eni) < removed.index(group)
        assert find_orphans(cloud.aws, "unit/died", {vpc, subnet_id}) == []

    def test_other_stacks_and_other_peoples_objects_are_left_alone(self, cloud: Resources) -> None:
        other = urn(VPC, "v", stack="other")
        inputs = cloud.checked(VPC, "v", {"cidrBlock": "10.8.0.0/16"})
        theirs = cloud.provider.create(other, inputs, preview=False).id
        by_hand = cloud.aws.ec2("create_vpc", CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
        assert {theirs, by_hand}.isdisjoint(o.id for o in find_orphans(cloud.aws, OURS, set()))

    def test_untaggable_things_are_adopted_only_when_recovering(self, cloud: Resources) -> None:
        vpc, _ = subnet(cloud)
        table, _, _ = cloud.create(TABLE, "t", {"vpcId": vpc})
        gateway, _, _ = cloud.create(IGW, "i", {"vpcId": vpc})
        route = {"routeTableId": table, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": gateway}
        first, _, _ = cloud.create(ROUTE, "r", route)
        with pytest.raises(AwsError, match="RouteAlreadyExists"):
            cloud.create(ROUTE, "r", route)
        assert cloud.recovering().create(ROUTE, "r", route)[0] == first

    def test_an_identical_rule_is_adopted_only_when_recovering(self, cloud: Resources) -> None:
        vpc, _ = subnet(cloud)
        group, _, _ = cloud.create(GROUP, "g", {"vpcId": vpc})
        rule = {"securityGroupId": group, "ipProtocol": "47", "cidrIpv4": "10.0.0.0/8"}
        first, _, _ = cloud.create(RULE, "r", rule)
        with pytest.raises(AwsError, match=r"InvalidPermission\.Duplicate"):
            cloud.create(RULE, "r", rule)
        assert cloud.recovering().create(RULE, "r", rule)[0] == first

    def test_what_hangs_on_other_peoples_objects_is_never_adopted(self, cloud: Resources) -> None:
        vpc = cloud.aws.ec2("create_vpc", CidrBlock="10.6.0.0/16")["Vpc"]["VpcId"]
        table = cloud.aws.ec2("create_route_table", VpcId=vpc)["RouteTable"]["RouteTableId"]
        gateway, _, _ = cloud.create(IGW, "i", {"vpcId": vpc})
        route = {"routeTableId": table, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": gateway}
        cloud.create(ROUTE, "r", route)
        with pytest.raises(AwsError, match="RouteAlreadyExists"):
            cloud.recovering().create(ROUTE, "r", route)


class TestFunctions:
    """What a program asks before it makes anything."""

    def ask(self, cloud: Resources, function: str, **arguments: object) -> dict[str, object]:
        return dict(cloud.provider.invoke(function, arguments))

    def test_get_parameter_gives_the_value_as_a_secret_too(self, cloud: Resources) -> None:
        answer = self.ask(cloud, "aws:ssm/getParameter:getParameter", name=DEBIAN_13)
        assert str(answer["insecureValue"]).startswith("ami-")
        assert answer["value"] == Secret(answer["insecureValue"])

    def test_get_ami(self, cloud: Resources) -> None:
        known = self.ask(cloud, "aws:ssm/getParameter:getParameter", name=DEBIAN_13)["insecureValue"]
        filters = [{"name": "image-id", "values": [known]}]
        assert self.ask(cloud, "aws:ec2/getAmi:getAmi", mostRecent=True, filters=filters)["id"] == known
        with pytest.raises(ProviderError, match="no results"):
            self.ask(cloud, "aws:ec2/getAmi:getAmi", filters=[{"name": "name", "values": ["nobody's"]}])

    def test_get_subnet_and_vpc(self, cloud: Resources) -> None:
        vpc, subnet_id = subnet(cloud)
        answer = self.ask(cloud, "aws:ec2/getSubnet:getSubnet", id=subnet_id)
        assert (answer["vpcId"], answer["cidrBlock"]) == (vpc, "10.1.1.0/24")
        assert self.ask(cloud, "aws:ec2/getVpc:getVpc", id=vpc)["cidrBlock"] == "10.1.0.0/16"
        with pytest.raises(ProviderError, match=r"InvalidSubnetID\.NotFound"):
            self.ask(cloud, "aws:ec2/getSubnet:getSubnet", id="subnet-00000000000000000")

    def test_get_network_interfaces(self, cloud: Resources) -> None:
        _, subnet_id = subnet(cloud)
        eni, _, _ = cloud.create(
            "aws:ec2/networkInterface:NetworkInterface",
            "leg",
            {"subnetId": subnet_id, "privateIps": ["10.1.1.50"], "description": "a leg", "tags": {"a": "b"}},
        )
        cloud.aws.ec2("assign_private_ip_addresses", NetworkInterfaceId=eni, PrivateIpAddresses=["10.1.1.99"])

        def found(address: str) -> object:
            filters = [
                {"name": "subnet-id", "values": [subnet_id]},
                {"name": "addresses.private-ip-address", "values": [address]},
            ]
            return self.ask(cloud, "aws:ec2/getNetworkInterfaces:getNetworkInterfaces", filters=filters)[
                "ids"
            ]

        assert (found("10.1.1.50"), found("10.1.1.99"), found("10.1.1.98")) == ([eni], [eni], [])
        answer = self.ask(cloud, "aws:ec2/getNetworkInterface:getNetworkInterface", id=eni)
        assert (answer["privateIp"], answer["privateIps"]) == ("10.1.1.50", ["10.1.1.50", "10.1.1.99"])
        assert (answer["description"], answer["tags"]) == ("a leg", {"a": "b"})

    def test_who_and_where(self, cloud: Resources) -> None:
        identity = self.ask(cloud, "aws:index/getCallerIdentity:getCallerIdentity")
        assert len(str(identity["accountId"])) == 12
        assert self.ask(cloud, "aws:index/getRegion:getRegion")["region"] == "us-east-1"
        assert self.ask(cloud, "aws:index/getPartition:getPartition")["partition"] == "aws"
        zones = self.ask(cloud, "aws:index/getAvailabilityZones:getAvailabilityZones", state="available")
        assert "us-east-1a" in str(zones["names"])

    def test_get_instance_type(self, cloud: Resources) -> None:
        answer = self.ask(cloud, "aws:ec2/getInstanceType:getInstanceType", instanceType="c6in.large")
        assert answer["maximumNetworkInterfaces"] == 3

    def test_wrong_arguments_are_all_named(self, cloud: Resources) -> None:
        with pytest.raises(InvalidInputsError) as caught:
            self.ask(cloud, "aws:ssm/getParameter:getParameter", path="/x")
        assert [failure.path for failure in caught.value.failures] == ["path", "name"]

    def test_a_policy_document_asks_nobody(self) -> None:
        statement = {"actions": ["ec2:AssignPrivateIpAddresses"], "resources": ["*"]}
        answer = AwsProvider(Aws(NOWHERE)).invoke(
            "aws:iam/getPolicyDocument:getPolicyDocument", {"statements": [statement]}
        )
        assert '"Action":"ec2:AssignPrivateIpAddresses"' in answer["minifiedJson"]


def test_a_table_goes_although_its_subnet_goes_meanwhile(
    cloud: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine deletes both at once, and the subnet takes the association along."""
    vpc, inside = subnet(cloud)
    table, _, state = cloud.create(TABLE, "t", {"vpcId": vpc})
    cloud.aws.ec2("associate_route_table", RouteTableId=table, SubnetId=inside)
    find = route_table.find_route_table

    def find_before_the_subnet_goes(aws: Aws, object_id: str) -> Any:
        found = find(aws, object_id)
        aws.ec2("delete_subnet", SubnetId=inside)
        return found

    monkeypatch.setattr(route_table, "find_route_table", find_before_the_subnet_goes)
    cloud.provider.delete(urn(TABLE, "t"), table, state)
    assert find(cloud.aws, table) is None


def test_a_configured_subnet_of_an_endpoint_is_one_of_its_subnets() -> None:
    inputs = {
        "vpcId": "vpc-1",
        "serviceName": "com.amazonaws.us-east-1.ec2",
        "vpcEndpointType": "Interface",
        "subnetConfigurations": [{"subnetId": "subnet-1", "ipv4": "10.1.1.9"}],
    }
    of = urn("aws:ec2/vpcEndpoint:VpcEndpoint", "api")

    def refused(**more: object) -> list[str]:
        return [failure.path for failure in AwsProvider().check(of, {}, {**inputs, **more}, b"").failures]

    assert refused() == ["subnetConfigurations[0]"]
    assert refused(subnetIds=["subnet-2"]) == ["subnetConfigurations[0]"]
    assert refused(subnetIds=["subnet-1"]) == []
    assert refused(subnetIds=[UNKNOWN]) == []  # a preview in which the subnet is new
    assert refused(subnetIds=["subnet-1"], dnsOptions={}) == ["dnsOptions"]
