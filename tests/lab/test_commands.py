"""The commands by which one looks at a lab and breaks it, as README shows them."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from lab.paths import PROJECT
from tests.lab.conftest import SINGLE, LabUnderTest, ec2_of, wait_until
from tests.lab.test_lifecycle import changed
from tests.lab.test_path import FUNC, HTTP, PROXY

pytestmark = pytest.mark.lab


def watching(lab: LabUnderTest, *words: str) -> subprocess.Popen[bytes]:
    """`lab capture`, once it listens."""
    argv = [sys.executable, "-m", "lab", "capture", "--name", lab.name, *words]
    process = subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = b""
    while b"listening on" not in said:
        line = process.stderr.readline()
        assert line, said.decode()
        said += line
    return process


def ended(process: subprocess.Popen[bytes]) -> bytes:
    """What it printed, when it has ended well."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    return out


def test_capture_shows_an_eni_from_outside_the_guest(lab: LabUnderTest) -> None:
    process = watching(lab, PROXY, "eth0", "-n", "2", "proto", "gre")
    lab.succeed(FUNC, HTTP)
    assert b"GREv0, key=0x1" in ended(process)


def test_capture_finds_a_device_in_whichever_namespace_has_it(lab: LabUnderTest) -> None:
    process = watching(lab, PROXY, "mgre1", "-n", "1", "tcp", "port", "8080")
    lab.succeed(FUNC, HTTP)
    assert b"172.16.101.4.8080" in ended(process)


@pytest.mark.parametrize("device", ["eth0", "mgre1"])
def test_capture_writes_pcap(lab: LabUnderTest, tmp_path: Path, device: str) -> None:
    file = tmp_path / "packets.pcap"
    process = watching(lab, FUNC, device, "--count", "3", "--write", str(file))
    lab.succeed(FUNC, HTTP)
    ended(process)
    read = subprocess.run(["tcpdump", "-nr", str(file)], capture_output=True, text=True, check=True)
    assert len(read.stdout.splitlines()) == 3


def test_capture_names_what_is_not_there(lab: LabUnderTest) -> None:
    for words, said in (
        ((FUNC, "eth7"), "it has eth0"),
        ((FUNC, "mgre7"), "mgre7"),
        (("func-7", "eth0"), "did you mean func-0?"),
    ):
        done = lab.command("capture", *words, check=False)
        assert done.returncode == 1
        assert said in done.stderr


def test_ssh_gives_a_terminal(lab: LabUnderTest) -> None:
    argv = [sys.executable, "-m", "lab", "ssh", "--name", lab.name, PROXY]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(PROJECT)
        os.execv(argv[0], argv)
    try:
        os.write(terminal, b"tty && hostname -I && exit 7\n")
        seen = read_until_closed(terminal)
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7, seen
    assert "/dev/pts/" in seen
    assert "192.168.4.4" in seen


def read_until_closed(terminal: int, deadline_s: float = 60.0) -> str:
    """All that a terminal showed."""
    seen, deadline = b"", time.monotonic() + deadline_s
    while select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
        try:
            seen += os.read(terminal, 1 << 16)
        except OSError:  # EIO: the other side has ended
            return seen.decode(errors="replace")
    raise AssertionError(f"not done after {deadline_s:g} s: {seen.decode(errors='replace')}")


def test_exec_passes_input_output_and_status_through(lab: LabUnderTest) -> None:
    blob = bytes(range(256)) * 4096
    argv = [sys.executable, "-m", "lab", "exec", "--name", lab.name, FUNC, "--"]
    done = subprocess.run(
        [*argv, "sh", "-c", "cat; echo wrong >&2; exit 42"], cwd=PROJECT, input=blob, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (42, blob, b"wrong\n")


def test_exec_tells_of_a_signal_as_shells_do(lab: LabUnderTest) -> None:
    assert lab.command("exec", FUNC, "--", "kill -KILL $$", check=False).returncode == 128 + signal.SIGKILL


def test_ctrl_c_ends_the_command_on_the_host_too(lab: LabUnderTest) -> None:
    argv = [sys.executable, "-m", "lab", "exec", "--name", lab.name, FUNC, "--", "echo $$; exec sleep 600"]
    with subprocess.Popen(
        argv, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 128 + signal.SIGINT  # before its pipe is closed
    wait_until("the command is gone", lambda: lab.exec(FUNC, [f"kill -0 {pid}"]).returncode != 0)


def test_an_unplugged_user_eni_cuts_the_path_until_it_is_plugged(lab: LabUnderTest) -> None:
    lab.command("fault", "unplug", PROXY, "eth1")
    try:
        lab.fail(FUNC, HTTP)
    finally:
        lab.command("fault", "plug", PROXY, "eth1")
    wait_until("the path is back", lambda: lab.exec(FUNC, [HTTP]).returncode == 0)


def test_blocked_packets_do_not_pass_until_they_are_unblocked(lab: LabUnderTest) -> None:
    lab.command("block", FUNC, PROXY, "--protocol", "47")
    try:
        lab.fail(FUNC, HTTP)
    finally:
        lab.command("unblock")
    lab.succeed(FUNC, HTTP)


def test_the_api_goes_down_and_comes_back(lab: LabUnderTest) -> None:
    ec2 = ec2_of(lab, retries=0)
    lab.command("weather", "DescribeVpcs", "--down")
    try:
        with pytest.raises(ClientError, match="Unavailable"):
            ec2.describe_vpcs()
        assert ec2.describe_subnets()["Subnets"]
    finally:
        lab.command("weather")
    assert ec2.describe_vpcs()["Vpcs"]


def test_the_weather_is_listed(lab: LabUnderTest) -> None:
    assign = "AssignPrivateIpAddresses"
    assert lab.command("weather", "--list").stdout == "fair\n"
    try:
        lab.command("weather", assign, "--delay", "1.8", "--effect", "1")
        lab.command("weather", assign, "--address", "10.0.0.9", "--refuse", "RequestLimitExceeded")
        assert lab.command("weather", "--list").stdout.splitlines() == [
            f"{assign}: 1.8 s slow, effect 1 s late",
            f"{assign} 10.0.0.9: refused with RequestLimitExceeded",
        ]
        assert lab.status()["weather"][1]["address"] == "10.0.0.9"
        assert f"weather: {assign} 10.0.0.9: refused" in lab.command("status").stdout
        lab.command("weather", assign, "--address", "10.0.0.9")
        (left,) = json.loads(lab.command("weather", "--list", "--json").stdout)
        assert (left["address"], left["effect_s"]) == ("", 1.0)
        refused = lab.command("weather", "RunInstances", "--effect", "1", check=False)
        assert refused.returncode == 1
        assert "cannot be late" in refused.stderr
    finally:
        assert lab.command("weather").stdout == "fair\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fault", "burn", FUNC), "one of: kill"),
        (("weather", "AssignPrivateIpAdresses", "--down"), "did you mean AssignPrivateIpAddresses?"),
        (("weather", "--delay", "inf"), "seconds, from 0 to 3600"),
        (("fault", "unplug", FUNC, "eth9"), "it has eth0"),
        (("fault", "unplug", FUNC, "cable"), "eth0"),
        (("fault", "kill", "func-9"), "did you mean func-0?"),
        (("exec", "func-9", "--", "true"), "did you mean func-0?"),
        (("logs", "func-9"), "did you mean func-0?"),
    ],
)
def test_what_is_not_there_is_said_with_the_way_out(
    lab: LabUnderTest, words: tuple[str, ...], said: str
) -> None:
    done = lab.command(*words, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("preview", "--replace", "func"), "there is no host 'func' to be replaced"),
        (("up", "--replace", "func-9"), "did you mean func-0?"),
        (("preview", "--config", "func_hosts"), "like this: func_hosts.count=3"),
        (("preview", "--config", "func_hosts.count=["), "is no YAML"),
        (("preview", "--config", "tags={x: 2020-01-01}"), "no value that a setting can have"),
        (("preview", "--stack", "../../x"), "is no name of a stack"),
        (("preview", "--stack", "nope"), "dev, lab, prod"),
        (("up", "--empty", "--replace", "func-0"), "leave out"),
        (("exec", FUNC, "--user", "admin", "--", "true"), "options go before the host"),
        (("capture", FUNC, "eth0", "--write", "/nonexistent/x.pcap"), "cannot be written"),
    ],
)
def test_words_that_make_no_sense_are_said_before_anything_is_done(
    lab: LabUnderTest, words: tuple[str, ...], said: str
) -> None:
    before = lab.status()["hosts"]
    done = lab.command(*words, check=False)
    assert done.returncode == 1, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert [h["instance_id"] for h in lab.status()["hosts"]] == [h["instance_id"] for h in before]


def test_replace_means_exactly_one_host(lab: LabUnderTest) -> None:
    assert {
        name
        for _, name in changed(lab.preview("--replace", "user-alpha"))
        if name.startswith(("func", "proxy"))
    } == set()


def test_a_host_that_hangs_is_named_by_an_up_that_waits_for_it(lab: LabUnderTest) -> None:
    """And once it is awake the same `up` goes on."""
    lab.command("fault", "hang", PROXY)
    argv = [sys.executable, "-m", "lab", "up", "--name", lab.name, *SINGLE, "--config", "func_hosts.count=2"]
    with subprocess.Popen(
        argv, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as up:
        assert up.stderr is not None
        said = iter(up.stderr.readline, "")
        assert any("proxy-0 hangs: `lab fault resume proxy-0` wakes it" in line for line in said)
        lab.command("fault", "resume", PROXY)
        rest = up.stderr.read()
    assert up.returncode == 0, rest
    lab.succeed("func-1", HTTP)
    lab.up()
    lab.forget("func-1")


def test_a_host_that_hangs_in_the_middle_of_a_command_is_named(lab: LabUnderTest) -> None:
    """And once it is awake the command goes on."""
    argv = [sys.executable, "-m", "lab", "exec", "--name", lab.name, FUNC, "--", "echo begun; cat"]
    with subprocess.Popen(
        argv, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "begun\n"
        lab.command("fault", "hang", FUNC)
        try:
            assert "func-0 hangs: `lab fault resume func-0` wakes it" in process.stderr.readline()
        finally:
            lab.command("fault", "resume", FUNC)
        out, err = process.communicate("the end\n", timeout=60)
    assert (process.returncode, out) == (0, "the end\n"), err


def test_logs_are_the_console(lab: LabUnderTest) -> None:
    assert lab.command("logs", PROXY).stdout
    assert lab.command("logs", "daemon").stdout


def test_logs_go_on_as_the_console_does(lab: LabUnderTest) -> None:
    argv = [sys.executable, "-m", "lab", "logs", "--name", lab.name, "--follow", FUNC]
    with subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE) as logs:
        assert logs.stdout is not None
        assert logs.stdout.readline()
        lab.succeed(FUNC, "echo a new line >/dev/ttyS0")
        assert any(b"a new line" in line for line in logs.stdout)
        logs.terminate()
        assert logs.wait(30) == 128 + signal.SIGINT  # before its pipe is closed


def test_status_names_what_scripts_rely_on(lab: LabUnderTest) -> None:
    state = lab.status()
    assert state["name"] == lab.name
    assert state["ec2_endpoint"].startswith("http://127.0.0.1:")
    assert set(state["credentials"]) == {"access_key_id", "secret_access_key"}
    assert state["region"] == "us-east-1"
    hosts = {host["name"]: host for host in state["hosts"]}
    assert set(hosts) == {"func-0", "proxy-0", "user-alpha"}
    proxy = hosts["proxy-0"]
    assert proxy["instance_id"].startswith("i-")
    assert (proxy["state"], proxy["machine"]["state"]) == ("running", "running")
    assert proxy["addresses"] == ["192.168.4.4", "172.16.101.10"]
    assert [(eni["device_index"], eni["addresses"], eni["plugged"]) for eni in proxy["enis"]] == [
        (0, ["192.168.4.4"], True),
        (1, ["172.16.101.10"], True),
    ]


def test_internet_reaches_public_addresses_and_no_private_one(lab: LabUnderTest) -> None:
    host = next(h for h in lab.status()["hosts"] if h["name"] == FUNC)
    reach = "exec 3<>/dev/tcp/{}/22 && head -c 7 <&3"
    done = lab.command("internet", "--", "timeout", "10", "bash", "-c", reach.format(host["public_ip"]))
    assert done.stdout == "SSH-2.0"
    done = lab.command(
        "internet", "--", "timeout", "3", "bash", "-c", reach.format(host["private_ip"]), check=False
    )
    assert done.returncode != 0


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_preview_of_an_aws_stack_needs_no_account(lab: LabUnderTest, stack: str) -> None:
    before = [(host["instance_id"], host["enis"]) for host in lab.status()["hosts"]]
    steps = lab.preview("--stack", stack)["steps"]
    assert {step["op"] for step in steps} == {"create"}
    assert "aws:ec2/instance:Instance" in {step["type"] for step in steps}
    assert [(host["instance_id"], host["enis"]) for host in lab.status()["hosts"]] == before


def test_two_labs_stand_side_by_side(lab: LabUnderTest) -> None:
    other = LabUnderTest(f"beside-{os.getpid()}")
    try:
        other.command("up", "--empty")
        assert other.status()["ec2_endpoint"] != lab.status()["ec2_endpoint"]
        assert other.status()["hosts"] == []
        lab.succeed(FUNC, HTTP)
    finally:
        other.command("down")
    assert not other.paths.root.exists()
    lab.succeed(FUNC, HTTP)


def test_a_full_disk_is_said_and_leaves_nothing_half_done() -> None:
    """In a mount namespace of its own, where the labs' directory is on a very small file system."""
    name = f"full-{os.getpid()}"
    home = Path(os.environ.get("CAUSEWAY_LAB_HOME") or Path.home() / ".cache" / "causeway")
    script = (
        f"mkdir -p {home}/labs && mount -t tmpfs -o size=4k,nr_inodes=2,mode=700 small {home}/labs && "
        f"exec {sys.executable} -m lab up --empty --name {name}"
    )
    own_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(
        ["unshare", *own_user, "--mount", "sh", "-c", script], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
