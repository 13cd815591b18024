"""Docker itself on a func host, beside Causeway: its daemon, its rules, its networks and its restarts."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

import pytest

from tests.lab.conftest import LabUnderTest, brought_up, wait_until
from tests.lab.counters import dropped
from tests.lab.debian_packages import install
from tests.lab.pair_lab import ops

pytestmark = pytest.mark.lab

FUNC = "func-0"
# An image of a few commands and what they need, without a registry.
IMAGE = """
for file in /bin/bash /bin/cat /bin/sleep /bin/timeout; do echo $file; ldd $file | grep -o '/[^ ]*'; done |
  sort -u | tar -chf - -T - 2>/dev/null | docker import - tiny
"""
# Says who answered, once.
ASK = r"""
exec 3<>/dev/tcp/172.16.101.4/8080
printf 'GET / HTTP/1.0\r\n\r\n' >&3
cat <&3
"""
CLIENT = '"client": "172.16.101.10"'  # the user ENI
# Goes on asking, a word per answer.
ASKS = (
    f"while :; do /bin/timeout 2 /bin/bash -c {shlex.quote(ASK)} >/dev/null 2>&1 && echo answered || echo nobody; "
    "/bin/sleep 0.3; done"
)
CHECK = "/opt/causeway/apply --check"


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabUnderTest]:
    """The reference network with Docker on the func host, and the network that ops prints."""
    with brought_up("docker", os.environ.get("CAUSEWAY_TEST_DOCKER")) as lab:
        if lab.exec(FUNC, ["command -v dockerd"]).returncode != 0:
            install(lab, FUNC, tmp_path_factory.mktemp("apt"), "docker.io", "docker-cli")
            lab.succeed(FUNC, IMAGE)
            lab.succeed(FUNC, network(lab))
        yield lab


def network(lab: LabUnderTest) -> str:
    """The command for Docker's network of alpha."""
    done = ops(lab, "containers", "docker", "alpha")
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked(lab: LabUnderTest, of: str = "cw-alpha") -> str:
    """What a new container on this network is told; nothing, if it gets nowhere within the time."""
    line = f"docker run --rm --network {of} tiny /bin/timeout 5 /bin/bash -c {shlex.quote(ASK)}"
    return lab.exec(FUNC, [line]).stdout.decode()


def test_a_container_of_docker_reaches_its_tenant(docker: LabUnderTest) -> None:
    assert CLIENT in asked(docker)
    docker.succeed(FUNC, CHECK)


def test_one_on_dockers_own_network_does_not(docker: LabUnderTest) -> None:
    before = dropped(docker, FUNC, "causeway_container")
    assert asked(docker, "bridge") == ""
    assert dropped(docker, FUNC, "causeway_container") > before


def test_docker_restarts(docker: LabUnderTest) -> None:
    """With its containers, and all its rules, which it writes anew."""
    docker.succeed(
        FUNC,
        f"docker run -d --name stays --restart always --network cw-alpha tiny /bin/bash -c {shlex.quote(ASKS)}",
    )
    try:
        answers(docker)
        docker.succeed(FUNC, "systemctl restart docker")
        answers(docker)
        docker.succeed(FUNC, CHECK)
    finally:
        docker.succeed(FUNC, "docker rm -f stays")


def answers(lab: LabUnderTest) -> None:
    """The container that stays is answered, now."""
    since = lab.succeed(FUNC, "date +%s").strip()
    wait_until("an answer", lambda: "answered" in lab.succeed(FUNC, f"docker logs --since {since} stays"))


def test_iptables_is_written_anew_by_somebody(docker: LabUnderTest) -> None:
    """Its tables are Docker's and others'; ours are none of them."""
    docker.succeed(FUNC, "iptables-save >/run/rules && iptables-restore </run/rules")
    assert CLIENT in asked(docker)
    docker.succeed(FUNC, CHECK)


def test_a_bridge_that_was_deleted_comes_back_and_docker_uses_it(docker: LabUnderTest) -> None:
    docker.succeed(FUNC, "ip link delete cw-alpha")
    assert "cw-alpha" in docker.fail(FUNC, CHECK)
    docker.succeed(FUNC, "systemctl restart causeway.service")  # the boot unit
    docker.succeed(FUNC, CHECK)
    assert CLIENT in asked(docker)


def restart(lab: LabUnderTest) -> None:
    """As after a power failure; it lets in again when this returns."""
    lab.succeed(FUNC, "sync")
    lab.command("fault", "restart", FUNC)
    lab.forget(FUNC)
    wait_until("SSH", lambda: lab.command("exec", FUNC, "--", "true", check=False).returncode == 0)


def test_a_container_that_starts_before_there_is_a_stack(docker: LabUnderTest) -> None:
    """Docker makes the bridge itself then; the container has its way as soon as the stack is up."""
    command = f"/bin/bash -c {shlex.quote(ASKS)}"
    docker.succeed(FUNC, f"docker run -d --name first --restart always --network cw-alpha tiny {command}")
    docker.succeed(FUNC, "mv /etc/causeway /etc/causeway.away")
    restart(docker)

    def said() -> str:
        return docker.succeed(FUNC, 'docker logs --since "$(date -d "$(uptime -s)" +%s)" first')

    try:
        wait_until("it has asked", lambda: "nobody" in said())
        assert "answered" not in said()
        docker.succeed(FUNC, "mv /etc/causeway.away /etc/causeway; systemctl start causeway.service")
        wait_until("an answer", lambda: "answered" in said())
        docker.succeed(FUNC, CHECK)
        restart(docker)  # both come by themselves now, in whatever order
        wait_until("an answer", lambda: "answered" in said())
        wait_until("all is applied", lambda: docker.exec(FUNC, [CHECK]).returncode == 0)
    finally:
        docker.succeed(FUNC, "mv -T /etc/causeway.away /etc/causeway 2>/dev/null; docker rm -f first")
