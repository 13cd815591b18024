"""LAB_PLUGINS=real: plugins that are not the lab's get all they need of the lab by configuration."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from lab.engine.work_dir import ENDPOINT_SERVICES, PLUGINS
from lab.paths import PROJECT
from tests.lab.engine_testing import StackUnderTest
from tests.unit.provider_cloud import running_cloud

pytestmark = pytest.mark.lab


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Plugins by their real names, first on PATH: they write down what they were started with.

    What answers then is the stand-in, without the variables by which the lab's own would find the endpoint.
    """
    record, directory = tmp_path / "started", tmp_path / "bin"
    directory.mkdir()
    for name, module in PLUGINS.items():
        plugin = directory / f"pulumi-resource-{name}"
        plugin.write_text(
            "#!/bin/sh\n"
            f'echo "$0 $PULUMI_HOME" >>{shlex.quote(str(record))}\n'
            "unset AWS_ENDPOINT_URL\n"
            f'PYTHONPATH={shlex.quote(str(PROJECT))} exec {shlex.quote(sys.executable)} -P -m {module} "$@"\n'
        )
        plugin.chmod(0o755)
    monkeypatch.setenv("LAB_PLUGINS", "real")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return record


def test_the_engine_takes_real_plugins_from_path_and_they_find_the_lab(tmp_path: Path, record: Path) -> None:
    with running_cloud() as cloud:
        stack = StackUnderTest(tmp_path / "pulumi", cloud)
        assert "net" in stack.preview().summary["create"]
        endpoint = cloud.aws.config.endpoint
    plugin, home = record.read_text().splitlines()[0].split()
    assert plugin == str(tmp_path / "bin" / "pulumi-resource-aws")
    assert home == str(tmp_path / "home"), "where the user's own plugins are"
    work = stack.context().work_dir
    assert "plugins" not in yaml.safe_load((work / "Pulumi.yaml").read_text())
    config = yaml.safe_load((work / "Pulumi.test.yaml").read_text())["config"]
    assert config["aws:endpoints"] == [dict.fromkeys(ENDPOINT_SERVICES, endpoint)]
    for look_up in ("aws:skipCredentialsValidation", "aws:skipMetadataApiCheck", "aws:skipRegionValidation"):
        assert str(config[look_up]).lower() == "true", "the real AWS would be asked"
