"""The engine with the stand-in plugins: what changes, what does not, and what it says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.engine import lock
from lab.engine.context import Plugins
from lab.engine.events import PropertyChange
from lab.engine.operations import Result, outputs, reset, up
from lab.errors import LabError
from tests.lab.engine_testing import KEYS, TOKEN, StackUnderTest
from tests.unit.provider_cloud import running_cloud

pytestmark = pytest.mark.lab
ALL = [
    "attachment", "default", "eni", "gateway", "gre", "group", "host-0", "key", "net", "routing", "subnet", "table",
]  # fmt: skip


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackUnderTest]:
    """One stack that is up; each test leaves it as it found it, or says so."""
    with running_cloud() as cloud:
        under_test = StackUnderTest(tmp_path_factory.mktemp("engine") / "pulumi", cloud)
        assert under_test.preview().summary == {"create": ALL}
        assert under_test.count("describe_instances", "Reservations") == 0, "a preview makes nothing"
        assert under_test.up().summary == {"create": ALL}
        yield under_test


def changed(result: Result) -> dict[str, list[str]]:
    """Paths of changed properties by resource."""
    return {step.name: [change.path for change in step.changes] for step in result.steps}


def test_a_second_up_changes_nothing(stack: StackUnderTest) -> None:
    result = stack.up()
    assert result.summary == {}
    assert result.unchanged == len(ALL)
    assert stack.preview().summary == {}
    refreshed = stack.up(refresh=True)
    assert (refreshed.summary, refreshed.drift) == ({}, ())


def test_outputs_are_read_without_the_engine_and_secrets_are_masked(stack: StackUnderTest) -> None:
    exported = outputs(stack.context())
    assert exported["host"] == stack.instances()[0]
    assert exported["mac"].startswith("02:")
    assert exported["token"] == "[secret]"


def test_secrets_are_nowhere_in_clear(stack: StackUnderTest) -> None:
    state = stack.context().state_file.read_text()
    assert TOKEN not in state
    for file in stack.directory.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes(), file
    assert TOKEN not in str(stack.events)
    stack.use_token("another")
    (step,) = stack.preview().steps
    stack.use_token(TOKEN)
    assert step.name == "eni"
    assert "another" not in str(step)
    assert TOKEN not in str(step)


def test_the_state_is_encrypted_with_the_labs_own_passphrase(
    stack: StackUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    stack.preview()
    file = stack.directory / "passphrase"
    assert file.stat().st_mode & 0o777 == 0o600
    own = file.read_text()
    file.write_text("another")
    try:
        with pytest.raises(LabError, match="passphrase"):
            stack.preview()
    finally:
        file.write_text(own)


def test_progress_names_resources_operations_and_how_long(stack: StackUnderTest) -> None:
    done = {event.name: event for event in stack.events if event.phase == "done" and event.op == "create"}
    assert set(ALL) <= set(done)
    assert all(event.seconds is not None and event.urn.endswith(f"::{name}") for name, event in done.items())


def test_a_change_shows_exactly_in_the_preview_and_is_made_by_up(stack: StackUnderTest) -> None:
    (step,) = stack.preview(name="second").steps
    assert (step.op, step.name, step.type) == ("update", "net", "aws:ec2/vpc:Vpc")
    assert step.changes == (PropertyChange(path="tags.Name", kind="update", before="first", after="second"),)
    assert stack.up(name="second").summary == {"update": ["net"]}
    vpcs = stack.aws.ec2("describe_vpcs", Filters=[{"Name": "tag:Name", "Values": ["second"]}])["Vpcs"]
    assert len(vpcs) == 1


def test_more_and_fewer_hosts_touch_only_those(stack: StackUnderTest) -> None:
    assert stack.up(hosts=3).summary == {"create": ["host-1", "host-2"]}
    assert len(stack.instances()) == 3
    assert stack.up(hosts=1).summary == {"delete": ["host-1", "host-2"]}
    assert len(stack.instances()) == 1


def test_a_property_that_cannot_change_replaces(stack: StackUnderTest) -> None:
    assert stack.preview(public_key=KEYS[1]).summary == {"replace": ["key"]}
    assert changed(stack.up(public_key=KEYS[1])) == {"key": ["publicKey"]}


def test_a_replacement_that_was_asked_for(stack: StackUnderTest) -> None:
    before = stack.instances()
    result = stack.up(replace=("urn:**ec2/instance:Instance::host-0",))
    assert result.summary == {"replace": ["attachment", "host-0"]}
    (after,) = stack.instances()
    assert after not in before
    assert result.outputs["host"] == after


def test_an_address_that_somebody_else_added_is_left_alone(stack: StackUnderTest) -> None:
    mac = outputs(stack.context())["mac"]
    found = stack.aws.ec2("describe_network_interfaces", Filters=[{"Name": "mac-address", "Values": [mac]}])
    eni = found["NetworkInterfaces"][0]["NetworkInterfaceId"]
    stack.aws.ec2("assign_private_ip_addresses", NetworkInterfaceId=eni, PrivateIpAddresses=["10.1.1.100"])
    assert stack.up(refresh=True).summary == {}
    there = stack.aws.ec2("describe_network_interfaces", NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]
    assert [a["PrivateIpAddress"] for a in there["PrivateIpAddresses"]] == ["10.1.1.50", "10.1.1.100"]


def test_drift_is_found_by_refresh_and_mended_by_up(stack: StackUnderTest) -> None:
    (instance,) = stack.instances()
    stack.aws.ec2("create_tags", Resources=[instance], Tags=[{"Key": "by", "Value": "hand"}])
    assert stack.up().summary == {}, "without a refresh, nobody looks"
    assert [step.name for step in stack.refresh().drift] == ["host-0"]
    assert changed(stack.up()) == {"host-0": ["tags.by"]}


def test_something_that_was_deleted_by_hand_is_made_again(stack: StackUnderTest) -> None:
    group = stack.aws.ec2("describe_security_groups", Filters=[{"Name": "description", "Values": ["test"]}])
    rules = stack.aws.ec2(
        "describe_security_group_rules",
        Filters=[{"Name": "group-id", "Values": [group["SecurityGroups"][0]["GroupId"]]}],
    )["SecurityGroupRules"]
    stack.aws.ec2(
        "revoke_security_group_ingress",
        GroupId=rules[0]["GroupId"],
        SecurityGroupRuleIds=[rules[0]["SecurityGroupRuleId"]],
    )
    assert stack.up(refresh=True).summary == {"create": ["gre"]}


def test_an_unknown_property_is_an_error_that_names_it(stack: StackUnderTest) -> None:
    with pytest.raises(LabError) as caught:
        stack.preview(unknown_property=True)
    said = str(caught.value)
    assert said.startswith("stack test: net: aws:ec2/vpc:Vpc resource 'net' has a problem: aws's stand-in")
    assert "fd00" not in said, "values could be secret"
    assert "does not know aws:ec2/vpc:Vpc's ipv6CidrBlock; known: cidrBlock" in said
    assert "Traceback" not in said


def test_an_error_of_the_program_is_its_words_alone(stack: StackUnderTest) -> None:
    with pytest.raises(LabError) as caught:
        stack.preview(fails=True)
    assert caught.value.message == "stack test: the configuration has 2 problems:\n  one\n  two"


def test_a_second_run_at_the_same_time_is_refused(
    stack: StackUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "DEADLINE_S", 0.2)
    with lock.locked(stack.context()), pytest.raises(LabError, match="another run of the engine works in"):
        stack.preview()


def test_a_cancelled_run_says_so_and_the_next_goes_on(stack: StackUnderTest) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(LabError, match="the run was cancelled; what was done is saved"):
        up(stack.context(name="third"), cancelled=cancelled)
    stack.up(name="third")
    assert stack.up().summary == {}


def test_real_plugins_that_are_not_there_are_named(
    stack: StackUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAB_PLUGINS", "real")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    with pytest.raises(LabError) as caught:
        stack.preview()
    assert "pulumi plugin install resource aws v" in caught.value.hint
    monkeypatch.setenv("LAB_PLUGINS", "reel")
    with pytest.raises(LabError, match="LAB_PLUGINS=reel is neither of stand-in, real"):
        Plugins.from_environment()


def test_destroy_leaves_nothing_and_a_cloud_that_is_gone_is_forgotten(stack: StackUnderTest) -> None:
    assert stack.destroy().summary == {"delete": ALL}
    assert stack.instances() == []
    assert stack.count("describe_vpcs", "Vpcs") <= 1, "only the default VPC, if there is one"
    assert stack.up().summary == {"create": ALL}
    reset(stack.context())
    assert outputs(stack.context()) == {}
