"""What GitHub would do with .github/workflows, as far as that can be known here."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from lab.cli.main import app
from lab.engine.pulumi_cli import pinned_version
from lab.paths import PROJECT

Yaml = Any
DIRECTORY = PROJECT / ".github" / "workflows"
# BaseLoader: `on` is a key and not a truth, and every value is the text that stands there.
WORKFLOWS: dict[str, Yaml] = {
    file.stem: yaml.load(file.read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - makes nothing but text
    for file in sorted(DIRECTORY.iterdir())
}
# Whose actions we run, and the inputs of theirs that we know.
ACTIONS = {
    "actions/checkout@v4": set(),
    "actions/setup-python@v5": {"python-version"},
    "actions/setup-go@v5": {"go-version-file", "cache-dependency-path"},
    "actions/cache@v4": {"path", "key"},
    "aws-actions/configure-aws-credentials@v4": {"role-to-assume", "aws-region"},
    "pulumi/actions@v6": {"command", "stack-name", "cloud-url", "diff", "comment-on-pr", "pulumi-version"},
}
TOOLS_OF_THE_RUNNER = {"apt-get", "git", "python", "tee", "cat", "echo", "{", "}"}
STACKS = {file.stem.removeprefix("Pulumi.") for file in (PROJECT / "stacks").glob("Pulumi.*.yaml")}
OURS, FORK = "us/causeway", "them/causeway"


def jobs() -> Iterator[tuple[str, Yaml]]:
    """`workflow.job` and the job."""
    for workflow, content in WORKFLOWS.items():
        for job, definition in content["jobs"].items():
            yield f"{workflow}.{job}", definition


def steps() -> Iterator[tuple[str, Yaml, Yaml]]:
    """`workflow.job`, the job and a step of it."""
    for name, job in jobs():
        for step in job["steps"]:
            yield name, job, step


def commands(script: str) -> Iterator[list[str]]:
    """The simple commands of a script, as words."""
    for line in re.split(r"\n|&&|\|\||\||;", re.sub(r"\d?>+&?\S+", "", script)):
        words = shlex.split(line)
        while words and words[0] in ("{", "}"):
            words = words[1:]
        if words:
            yield words


def test_there_are_the_checks_and_the_preview() -> None:
    assert set(WORKFLOWS) == {"checks", "preview"}
    assert [step["run"] for _, _, step in steps() if step.get("run") == ".ci/run"] == [".ci/run"]
    assert set(WORKFLOWS["preview"]["on"]) == {"pull_request"}, "pull_request_target would trust a fork"


def test_actions_are_of_few_hands_and_get_inputs_that_they_know() -> None:
    used = {step["uses"] for _, _, step in steps() if "uses" in step}
    assert used == set(ACTIONS)
    for name, _, step in steps():
        assert ("uses" in step) != ("run" in step), f"{name}: {step}"
        if "uses" in step:
            assert set(step.get("with", {})) <= ACTIONS[step["uses"]], f"{name}: {step['uses']}"


def test_the_previews_cli_is_the_sdks() -> None:
    (pulumi,) = (step for _, _, step in steps() if step.get("uses", "").startswith("pulumi/actions@"))
    assert pulumi["with"]["pulumi-version"] == pinned_version()
    assert pulumi["with"]["command"] == "preview"


def test_nobody_may_more_than_is_needed() -> None:
    for name, workflow in WORKFLOWS.items():
        assert workflow["permissions"] == {"contents": "read"}, name
    own = {name: job["permissions"] for name, job in jobs() if "permissions" in job}
    assert own == {"preview.aws": {"contents": "read", "id-token": "write", "pull-requests": "write"}}
    oidc = {name for name, _, step in steps() if "role-to-assume" in step.get("with", {})}
    comment = {name for name, _, step in steps() if "comment-on-pr" in step.get("with", {})}
    assert oidc == comment == set(own)


def test_each_command_of_ours_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9_-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    lab = typer.main.get_command(app)
    for name, job, step in steps():
        for stack in job.get("strategy", {}).get("matrix", {}).get("stack", [""]):
            for words in commands(step.get("run", "").replace("${{ matrix.stack }}", stack)):
                if words[:3] == [".venv/bin/python", "-m", "lab"]:
                    context = lab.make_context("lab", words[3:])  # parses, and refuses what it does not know
                    command = lab.get_command(context, words[3])  # type: ignore[attr-defined]
                    command.make_context(words[3], words[4:])
                elif words[0] == "make":
                    assert set(words[1:]) <= targets, f"{name}: {words}"
                elif words[0] == ".venv/bin/pip":
                    assert (PROJECT / words[words.index("-r") + 1]).is_file()
                elif words[0].startswith("."):
                    assert os.access(PROJECT / words[0], os.X_OK), f"{name}: {words}"
                else:
                    assert words[0] in TOOLS_OF_THE_RUNNER, f"{name}: {words}"


def test_files_and_stacks_that_are_named_are_there() -> None:
    for name, job, step in steps():
        for key in ("go-version-file", "cache-dependency-path"):
            if key in step.get("with", {}):
                assert (PROJECT / step["with"][key]).is_file(), f"{name}: {key}"
        for pattern in re.findall(r"'([^']+)'", step.get("with", {}).get("key", "")):
            assert any(PROJECT.glob(pattern)), f"{name}: {pattern} matches nothing"
        assert set(job.get("strategy", {}).get("matrix", {}).get("stack", [])) <= STACKS
    assert STACKS - {"lab"} == set(WORKFLOWS["preview"]["jobs"]["aws"]["strategy"]["matrix"]["stack"])
    assert STACKS - {"lab"} == set(WORKFLOWS["preview"]["jobs"]["offline"]["strategy"]["matrix"]["stack"])


def test_no_script_has_a_strangers_words_in_it() -> None:
    """An expression is put into a script as it is: a branch's name could be a command."""
    for name, _, step in steps():
        assert set(re.findall(r"\$\{\{ *(.*?) *}}", step.get("run", ""))) <= {"matrix.stack"}, name


@pytest.mark.parametrize(
    ("repository", "role", "runs"),
    [
        (OURS, "arn:aws:iam::123456789012:role/preview", {"aws"}),
        (OURS, "", {"offline"}),  # not set up yet
        (FORK, "arn:aws:iam::123456789012:role/preview", {"offline"}),
        (FORK, "", {"offline"}),
        (None, "arn:aws:iam::123456789012:role/preview", {"offline"}),  # the fork is gone
    ],
)
def test_who_has_no_credentials_gets_the_offline_preview(
    repository: str | None, role: str, runs: set[str]
) -> None:
    known = {
        "github.event.pull_request.head.repo.full_name": repository,
        "github.repository": OURS,
        "vars.PREVIEW_ROLE_ARN": role,
    }
    preview = WORKFLOWS["preview"]["jobs"]
    assert {name for name, job in preview.items() if holds(job["if"], known)} == runs


def holds(condition: str, known: Mapping[str, str | None]) -> bool:
    """The value of an `if:` of comparisons, && and ||; KeyError for what the event does not have."""

    def value(word: str) -> str | None:
        return word.strip("'") if word.startswith("'") else known[word]

    def compared(comparison: str) -> bool:
        left, operator, right = comparison.split()
        return (value(left) == value(right)) == {"==": True, "!=": False}[operator]

    return any(
        all(compared(part) for part in alternative.split("&&")) for alternative in condition.split("||")
    )


class Runner:
    """A checkout in which the project's Python is a stub that says how it was called."""

    def __init__(self, directory: Path, status: int) -> None:
        self.directory = directory
        self.summary = directory / "summary.md"
        python = directory / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\necho "python $*"\necho "said on stderr" >&2\nexit {status}\n')
        python.chmod(0o755)

    def run(self, step: Yaml, stack: str) -> int:
        """The exit status of a step's script, run as GitHub runs `shell: bash`."""
        assert WORKFLOWS["preview"]["defaults"]["run"]["shell"] == "bash"
        script = self.directory / "step.sh"
        script.write_text(step["run"].replace("${{ matrix.stack }}", stack))
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=self.directory,
            env={"PATH": os.environ["PATH"], "GITHUB_STEP_SUMMARY": str(self.summary)},
        ).returncode


@pytest.mark.parametrize("status", [0, 1])
def test_the_offline_previews_scripts_show_it_and_fail_with_it(tmp_path: Path, status: int) -> None:
    runner = Runner(tmp_path, status)
    *_, preview, summary = WORKFLOWS["preview"]["jobs"]["offline"]["steps"]
    assert runner.run(preview, "dev") == status
    assert summary["if"].startswith("always() && "), "what failed is worth reading most"
    assert runner.run(summary, "dev") == 0
    assert runner.summary.read_text().splitlines() == [
        "### Offline preview of dev",
        "```",
        "python -m lab preview --stack dev",
        "said on stderr",
        "```",
    ]
