"""Settings and private key from the configuration of the running program. The only part that knows Pulumi."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pulumi
from pulumi.runtime import config as engine

from components.key_pair import doubt_about, is_there, private_key_in
from components.settings import ConfigurationError, Problem, Settings, load_settings, warnings_about
from components.validation.leaf import Leaf
from components.validation.problem import HIDDEN
from components.validation.shape import key_of, shape_of

PROJECT = "causeway"
PRIVATE_KEY = f"{PROJECT}:private_key"


def settings_from_pulumi() -> Settings:
    """The stack's settings. A wrong configuration ends the program: all its problems, no traceback."""
    given = {**engine.get_config_env(), **engine.CONFIG.get()}
    secret = {key for key in given if engine.is_config_secret(key)} | set(engine.get_config_secret_keys_env())
    config = plain_data(given, secret)
    try:
        settings = load_settings(config, secret)
        doubts = [*warnings_about(config, secret), *_doubts_about_key(settings)]
    except ConfigurationError as error:
        shown = ConfigurationError(_discreet(error.problems, secret))
        raise pulumi.RunError(str(shown)) from None
    for doubt in _discreet(doubts, secret):
        if not (doubt.key == "api.scheme" and _is_in_the_lab()):
            pulumi.log.warn(str(doubt))
    return settings


def private_key(settings: Settings) -> pulumi.Output[str] | None:
    """The operator's private key, secret: from the configuration, else from the file that settings name.

    None in a preview on a machine that does not have the file, such as one of a CI: nothing needs it there.
    """
    key = _private_key(settings)
    return None if key is None else pulumi.Output.secret(key)


def _is_in_the_lab() -> bool:
    """The lab's own stack, with the lab's own API, which has no certificate."""
    return pulumi.get_stack() == "lab" and "AWS_ENDPOINT_URL" in os.environ


def _private_key(settings: Settings) -> str | None:
    file = settings.private_key_file
    if file is None:
        return str(engine.get_config(PRIVATE_KEY))
    if pulumi.runtime.is_dry_run() and not is_there(file):
        return None
    return private_key_in(file)


def _doubts_about_key(settings: Settings) -> Iterable[Problem]:
    key = _private_key(settings)
    if key is not None:
        return doubt_about(settings, key)
    absent = Problem(
        key="private_key_file",
        value=str(settings.private_key_file),
        rule="is not on this machine: so the preview does not compare connections to hosts",
        way_out="nothing to do for a preview; pulumi up needs the file",
    )
    return (absent,)


def _discreet(problems: Iterable[Problem], secret: set[str]) -> list[Problem]:
    """Those about the key's file too, which read nothing of the configuration but its name."""
    return [
        replace(problem, value=HIDDEN) if f"{PROJECT}:{problem.key}" in secret else problem
        for problem in problems
    ]


def plain_data(given: Mapping[str, str], secret: set[str]) -> dict[str, object]:
    """The configuration as it stands in the stack file: groups and lists, not the JSON that the engine makes
    of them; and of the private key only that it is there, and whether in plain text.
    """
    leaves = {
        key_of(name, field)
        for name, field in Settings.model_fields.items()
        if isinstance(shape_of(field), Leaf)
    }
    data: dict[str, object] = {}
    for key, value in given.items():
        if key == PRIVATE_KEY:
            data[key] = {"secure": ""} if key in secret else ""
        else:
            data[key] = value if key.removeprefix(f"{PROJECT}:") in leaves else _decoded(value)
    return data


def _decoded(value: str) -> object:
    try:
        decoded: object = json.loads(value)
    except (ValueError, RecursionError):
        return value  # what is wrong with it, the settings say better
    return decoded
