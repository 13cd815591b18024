"""Settings and private key from the configuration of the running program. The only part that knows Pulumi."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi
from pulumi.runtime import config as engine

from components.key_pair import doubt_about, private_key_in
from components.settings import ConfigurationError, Settings, load_settings, warnings_about
from components.validation.leaf import Leaf
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
        doubts = [*warnings_about(config, secret), *doubt_about(settings, _private_key(settings))]
    except ConfigurationError as error:
        raise pulumi.RunError(str(error)) from None
    for doubt in doubts:
        pulumi.log.warn(str(doubt))
    return settings


def private_key(settings: Settings) -> pulumi.Output[str]:
    """The operator's private key, secret: from the configuration, else from the file that settings name."""
    return pulumi.Output.secret(_private_key(settings))


def _private_key(settings: Settings) -> str:
    if settings.private_key_file is not None:
        return private_key_in(settings.private_key_file)
    return str(engine.get_config(PRIVATE_KEY))


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
