"""What a pair's proxy does around a change, with a stand-in for its `pair` command."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.host_scripts import Step, step_script


class Proxy:
    """A root directory with a `pair` that answers as told, and notes what it was asked."""

    def __init__(self, root: Path) -> None:
        self.root, self.asked = root, root / "asked"
        self.asked.touch()
        self.run_dir = root / "run/causeway"
        (self.run_dir / "pair").mkdir(parents=True)
        (root / "opt/causeway").mkdir(parents=True)

    def has_pair(self, script: str) -> Proxy:
        """`script`: what its command does, with what was asked as "$@"."""
        command = self.root / "opt/causeway/pair"
        command.write_text(f'#!/bin/bash\necho "$*" >>{self.asked}\n{script}\n')
        command.chmod(0o755)
        (self.run_dir / "pair/state.json").write_text("{}")
        return self

    def has_command(self, name: str, script: str) -> None:
        """A stand-in."""
        file = self.root / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/bash\n{script}\n")
        file.chmod(0o755)

    def step(
        self,
        step: Step,
        digest: str = "d1",
        ready_within_s: int = 30,
        staying: tuple[str, ...] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run it, as the Command does."""
        return subprocess.run(
            ["bash", "-s"],
            input=step_script(step, digest, staying=staying),
            env={
                "PATH": f"{self.root}/bin:/usr/bin:/bin",
                "CAUSEWAY_ROOT": str(self.root),
                "CAUSEWAY_READY_WITHIN_S": str(ready_within_s),
                "CAUSEWAY_WHOLE_WITHIN_S": "2",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def questions(self) -> list[str]:
        """What `pair` was asked."""
        return self.asked.read_text().splitlines()


@pytest.fixture
def proxy(tmp_path: Path) -> Proxy:
    return Proxy(tmp_path)


def test_a_new_proxy_has_nothing_to_step_aside_from(proxy: Proxy) -> None:
    done = proxy.step(Step.STEPS_ASIDE)
    assert done.returncode == 0
    assert "no pair here yet" in done.stdout


def test_a_single_proxy_has_nothing_to_step_aside_from(proxy: Proxy) -> None:
    proxy.has_pair("exit 1")
    (proxy.run_dir / "pair/state.json").unlink()
    assert proxy.step(Step.STEPS_ASIDE).returncode == 0
    assert proxy.questions == []


def test_it_steps_aside(proxy: Proxy) -> None:
    done = proxy.has_pair("echo switched").step(Step.STEPS_ASIDE)
    assert (done.returncode, done.stdout, proxy.questions) == (0, "switched\n", ["step-aside"])


@pytest.mark.parametrize("step", [Step.STEPS_ASIDE, Step.MAKES_WAY])
def test_tenants_on_their_way_out_do_not_count(proxy: Proxy, step: Step) -> None:
    proxy.has_pair("exit 0")
    proxy.step(step, staying=("tenant-alpha", "tenant-beta"))
    proxy.step(step, staying=())
    assert proxy.questions == ["step-aside --staying tenant-alpha tenant-beta", "step-aside --staying"]


@pytest.mark.parametrize(
    ("status", "said"), [(1, "warning: the other proxy does not take over"), (2, "not active")]
)
def test_a_pair_that_is_not_whole_can_be_mended(proxy: Proxy, status: int, said: str) -> None:
    done = proxy.has_pair(f"echo 'no switch: it is dead' >&2; exit {status}").step(Step.STEPS_ASIDE)
    assert done.returncode == 0
    assert said in done.stdout
    assert "it is dead" in done.stderr


def test_it_is_ready_once_its_pair_says_so(proxy: Proxy) -> None:
    proxy.has_pair(
        f'[[ $(wc -l <{proxy.asked}) -ge 2 ]] || {{ echo "it is starting"; exit 1; }}; echo standby'
    )
    done = proxy.step(Step.IS_READY)
    assert (done.returncode, done.stdout) == (0, "standby\n")
    assert proxy.questions == ["ready", "ready"]


def test_one_that_does_not_become_ready_stops_the_change(proxy: Proxy) -> None:
    done = proxy.has_pair("echo 'the tunnel is down' >&2; exit 1").step(Step.IS_READY, ready_within_s=1)
    assert done.returncode == 1
    assert "the other proxy is left as it is" in done.stderr
    assert "the tunnel is down" in done.stderr


def test_it_steps_aside_for_no_change(proxy: Proxy) -> None:
    """As when only the operator's key is another one."""
    proxy.has_pair("exit 0")
    proxy.step(Step.IS_READY, "d1")
    assert "nothing changes" in proxy.step(Step.STEPS_ASIDE, "d1").stdout
    assert proxy.questions == ["ready"]
    proxy.step(Step.STEPS_ASIDE, "d2")
    assert proxy.questions == ["ready", "step-aside"]


def test_a_change_that_is_taken_back_before_its_end_is_one_as_well(proxy: Proxy) -> None:
    """By then the other one has had its turn back, so that this one may be active."""
    proxy.has_pair("exit 0")
    proxy.step(Step.IS_READY, "d1")
    proxy.step(Step.STEPS_ASIDE, "d2")  # and no more: a concern failed
    proxy.step(Step.STEPS_ASIDE, "d1")
    assert proxy.questions == ["ready", "step-aside", "step-aside"]


def test_one_that_was_not_ready_is_not_done(proxy: Proxy) -> None:
    proxy.has_pair("[[ $1 == step-aside ]]")
    proxy.step(Step.IS_READY, "d1", ready_within_s=1)
    proxy.step(Step.STEPS_ASIDE, "d1")
    assert proxy.questions[-1] == "step-aside"


def test_a_text_cut_short_does_nothing(proxy: Proxy) -> None:
    proxy.has_pair("exit 0")
    text = step_script(Step.STEPS_ASIDE, "d1").removesuffix("main </dev/null\n")
    env = {"PATH": "/usr/bin:/bin", "CAUSEWAY_ROOT": str(proxy.root)}
    subprocess.run(["bash", "-s"], input=text, env=env, text=True, check=True)
    assert proxy.questions == []


ALONE = '{"state": "active", "whole": true, "peer": "192.0.2.1"}'  # TEST-NET-1: nobody's
WITH_ANOTHER = '{"state": "active", "whole": true, "peer": "127.0.0.1"}'


@pytest.mark.parametrize(
    ("state", "word", "refusal"),
    [
        (None, "now", ""),
        (ALONE, "now", ""),
        (WITH_ANOTHER, "now", ""),  # one that has left
        ('{"state": "active", "whole": false, "peer": "192.0.2.1"}', "now", "python -m ops switch"),
        ('{"state": "standby", "whole": false, "peer": "192.0.2.1"}', "now", "or power the other one off"),
        ("half a te", "now", "python -m ops switch"),
        (None, "other_one_is_gone", ""),
        (ALONE, "other_one_is_gone", ""),
        (WITH_ANOTHER, "other_one_is_gone", "power it off first"),
    ],
)
def test_one_stays_alone_that_has_everything_and_nobody_who_would_take_it(
    proxy: Proxy, state: str | None, word: str, refusal: str
) -> None:
    """Traffic to TEST-NET-1 is not needed: the stand-in for `ping` answers for loopback alone."""
    proxy.has_command("ping", "[[ ${*: -1} == 127.* ]]")
    proxy.has_command("systemctl", "true")
    if state is not None:
        (proxy.run_dir / "pair/state.json").write_text(state)
    done = proxy.step(Step.STAYS_ALONE, word)
    assert (done.returncode == 0) == (refusal == "")
    assert refusal in done.stderr


def test_one_that_is_just_taking_over_is_waited_for(proxy: Proxy) -> None:
    """The other one has stepped aside, and this one sees it a moment later."""
    state = proxy.run_dir / "pair/state.json"
    state.write_text('{"state": "active", "whole": false}')
    proxy.has_command("systemctl", "true")
    with subprocess.Popen(["bash", "-c", f"sleep 0.7; echo '{ALONE}' >{state}"]):
        assert proxy.step(Step.STAYS_ALONE, "now").returncode == 0


@pytest.mark.parametrize(("status", "goes"), [(0, True), (2, True), (1, False)])
def test_an_instance_makes_way_only_for_one_that_serves(proxy: Proxy, status: int, goes: bool) -> None:
    done = proxy.has_pair(f"exit {status}").step(Step.MAKES_WAY, "now")
    assert (done.returncode == 0) == goes
    assert ("does not forward in its place" in done.stderr) != goes


def test_what_a_watcher_that_is_gone_has_left_behind_keeps_nobody_alone(proxy: Proxy) -> None:
    (proxy.run_dir / "pair/state.json").write_text(ALONE)
    proxy.has_command("systemctl", "exit 3")
    assert proxy.step(Step.STAYS_ALONE, "now").returncode != 0
