"""The engine's own project directory: a Pulumi.yaml that names the plugins, and the stack's configuration."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.engine.context import EngineContext, Plugins
from lab.engine.stack_config import stack_config
from lab.errors import LabError
from lab.paths import PROJECT
from lab.whole_file import write_whole

Json = Any
PLUGINS = {"aws": "lab.providers.aws", "command": "lab.providers.command"}
# The real plugins must neither look for the account's metadata nor check dummy credentials at the real AWS.
REAL_CONFIG = {
    "aws:skipCredentialsValidation": True,
    "aws:skipRegionValidation": True,
    "aws:skipRequestingAccountId": False,
    "aws:skipMetadataApiCheck": True,
}
ENDPOINT_SERVICES = ("ec2", "iam", "ssm", "sts")


def prepare(context: EngineContext) -> Mapping[str, Json]:
    """Write everything the engine reads, and return the stack's configuration.

    Raises LabError for what is wrong with it.
    """
    file = context.stack_file or PROJECT / "stacks" / f"Pulumi.{context.stack}.yaml"
    config = stack_config(file, context.project, _overrides(context))
    for directory in (context.work_dir, context.directory / "home", context.directory / "state"):
        directory.mkdir(parents=True, exist_ok=True)
    _write(context.directory / "passphrase", secrets.token_urlsafe(32), once=True)
    _write(context.work_dir / "Pulumi.yaml", json.dumps(_project(context)))
    settings_file = context.work_dir / f"Pulumi.{context.stack}.yaml"
    salt = _encryption_salt(settings_file)
    _write(settings_file, json.dumps({**salt, "config": config}))
    return config


def environment(context: EngineContext) -> dict[str, str]:
    """What the engine and its plugins find in their environment."""
    own_home = {"PULUMI_HOME": str(context.directory / "home")}
    return {
        **(own_home if context.plugins is Plugins.STAND_IN else {}),
        # Without the attributes beside each file: they are not written atomically, and an engine that was killed
        # while it wrote them could not read its state any more.
        "PULUMI_BACKEND_URL": f"file://{context.directory / 'state'}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(context.directory / "passphrase"),
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
        "AWS_ENDPOINT_URL": context.ec2_endpoint,
        "AWS_ACCESS_KEY_ID": context.access_key,
        "AWS_SECRET_ACCESS_KEY": context.secret_key,
        "AWS_REGION": context.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


def _overrides(context: EngineContext) -> dict[str, Json]:
    if context.plugins is Plugins.STAND_IN:
        return dict(context.config)
    _require_real_plugins()
    endpoints = [dict.fromkeys(ENDPOINT_SERVICES, context.ec2_endpoint)]
    return {**REAL_CONFIG, "aws:endpoints": endpoints, **context.config}


def _project(context: EngineContext) -> dict[str, Json]:
    project: dict[str, Json] = {"name": context.project, "runtime": "python"}
    if context.plugins is Plugins.STAND_IN:
        providers = [{"name": name, "path": str(_launcher(context, name))} for name in PLUGINS]
        project["plugins"] = {"providers": providers}
    return project


def _launcher(context: EngineContext, name: str) -> Path:
    """A directory with the executable that the engine looks for: the stand-in, run by this Python."""
    directory = context.directory / "plugins" / name
    directory.mkdir(parents=True, exist_ok=True)
    python, project = shlex.quote(sys.executable), shlex.quote(str(PROJECT))
    # -P: the work directory is not searched for modules. Bytecode, because starting is most of a short run.
    script = (
        "#!/bin/sh\n"
        "unset PYTHONDONTWRITEBYTECODE\n"
        f'PYTHONPATH={project} exec {python} -P -m {PLUGINS[name]} "$@"\n'
    )
    _write(directory / f"pulumi-resource-{name}", script, mode=0o700)
    return directory


def _write(file: Path, text: str, *, mode: int = 0o600, once: bool = False) -> None:
    """Write a file as a whole, if it is not so already."""
    if file.exists() and (once or file.read_text() == text):
        return
    write_whole(file, text, mode=mode)


def _encryption_salt(settings_file: Path) -> Mapping[str, Json]:
    """What the engine itself has put into the stack's settings, and needs to read its state's secrets."""
    if not settings_file.exists():
        return {}
    settings = yaml.safe_load(settings_file.read_text()) or {}
    return {key: value for key, value in settings.items() if key in ("encryptionsalt", "secretsprovider")}


def _require_real_plugins() -> None:
    import importlib.metadata

    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    missing = []
    for name in PLUGINS:
        version = importlib.metadata.version(f"pulumi-{name}")
        installed = home / "plugins" / f"resource-{name}-v{version}"
        if not installed.exists() and shutil.which(f"pulumi-resource-{name}") is None:
            missing.append(f"pulumi plugin install resource {name} v{version}")
    if missing:
        raise LabError(
            f"LAB_PLUGINS=real, but not all real plugins are installed in {home}",
            hint=f"run: {' && '.join(missing)}; or leave LAB_PLUGINS unset for the lab's stand-ins",
        )
