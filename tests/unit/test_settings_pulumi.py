"""Settings and private key as the running program gets them from the engine."""

from __future__ import annotations

import contextvars
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import paramiko
import pulumi
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pulumi.runtime import config as engine

from components.settings import load_settings
from components.settings_pulumi import private_key, settings_from_pulumi
from tests.unit.settings_cases import base

T = TypeVar("T")


def new_key(passphrase: bytes | None = None) -> tuple[str, str]:
    """An ed25519 key pair: private and public."""
    key = Ed25519PrivateKey.generate()
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, encryption
    ).decode()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, public.decode()


def within(
    config: dict[str, Any], work: Callable[[], T], secrets: tuple[str, ...] = ("causeway:private_key",)
) -> T:
    """Do something in a program with this configuration, as the engine hands it over."""
    handed = {key if ":" in key else f"causeway:{key}": value for key, value in config.items()}
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in handed.items()}

    def program() -> T:
        engine.set_all_config(text, list(secrets))
        return work()

    return contextvars.copy_context().run(program)


def with_key(private: str, public: str) -> dict[str, Any]:
    config = base()
    config["access"]["public_key"] = public
    return {**config, "private_key": private}


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    given: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", given.append)
    return given


def test_settings_are_those_of_the_stack_file(warnings: list[str]) -> None:
    config = with_key(*new_key())
    expected = load_settings({**config, "private_key": {"secure": ""}})
    assert within(config, settings_from_pulumi) == expected
    assert not warnings


def test_private_key_from_a_file(tmp_path: Path) -> None:
    private, public = new_key()
    file = tmp_path / "key"
    file.write_text(private, encoding="utf-8")
    config = with_key(private, public)
    del config["private_key"]
    settings = within({**config, "private_key_file": str(file)}, settings_from_pulumi)
    assert settings.private_key_file == str(file)
    assert private not in repr(settings)


def test_private_key_file_that_is_not_there(tmp_path: Path) -> None:
    config = with_key(*new_key())
    del config["private_key"]
    config["private_key_file"] = str(tmp_path / "none")
    with pytest.raises(pulumi.RunError, match=r"private_key_file: .*\n.*cannot be read: No such file"):
        within(config, settings_from_pulumi)


def in_preview(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> pulumi.Output[str] | None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    return within(config, lambda: private_key(settings_from_pulumi()))


def test_a_preview_does_without_the_private_keys_file(
    tmp_path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_key(*new_key())
    del config["private_key"]
    config["private_key_file"] = str(tmp_path / "none")
    assert in_preview(config, monkeypatch) is None
    (warning,) = warnings
    assert warning.startswith(f"private_key_file: {tmp_path}/none\n    is not on this machine")


def test_a_preview_checks_the_private_key_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text(new_key()[0], encoding="utf-8")
    config = with_key(*new_key())
    del config["private_key"]
    with pytest.raises(pulumi.RunError, match=r"does not belong to access.public_key"):
        in_preview({**config, "private_key_file": str(file)}, monkeypatch)


def test_a_secret_file_of_the_private_key_is_not_named(tmp_path: Path) -> None:
    config = with_key(*new_key())
    del config["private_key"]
    config["private_key_file"] = str(tmp_path / "hunter2")
    with pytest.raises(pulumi.RunError, match=r"cannot be read") as caught:
        within(config, settings_from_pulumi, secrets=("causeway:private_key_file",))
    assert "hunter2" not in str(caught.value)


def test_private_key_of_another_pair() -> None:
    private, public = new_key()[0], new_key()[1]
    with pytest.raises(pulumi.RunError, match=r"private_key: .*\n.*does not belong to access.public_key"):
        within(with_key(private, public), settings_from_pulumi)


def test_private_key_with_a_passphrase() -> None:
    with pytest.raises(pulumi.RunError, match="needs a passphrase"):
        within(with_key(*new_key(b"secret")), settings_from_pulumi)


def test_private_key_of_unknown_format_is_doubted(warnings: list[str]) -> None:
    within(with_key("PuTTY-User-Key-File-3", new_key()[1]), settings_from_pulumi)
    assert "is not read as a private key" in warnings[0]
    assert "PuTTY" not in warnings[0]


def test_rsa_pair_is_accepted(warnings: list[str]) -> None:
    key = paramiko.RSAKey.generate(2048)
    private = io.StringIO()
    key.write_private_key(private)
    within(with_key(private.getvalue(), f"ssh-rsa {key.get_base64()}"), settings_from_pulumi)
    assert not warnings


def test_private_key_in_plain_text_is_refused_and_not_printed() -> None:
    private, public = new_key()
    with pytest.raises(pulumi.RunError, match="must be a secret") as caught:
        within(with_key(private, public), settings_from_pulumi, secrets=())
    assert private.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize("value", ["hunter2", {"user": "hunter2"}])
def test_what_the_engine_knows_as_secret_is_not_printed(value: object) -> None:
    config = {**with_key(*new_key()), "db_pass": value}
    with pytest.raises(pulumi.RunError, match=r"db_pass: .not shown") as caught:
        within(config, settings_from_pulumi, secrets=("causeway:private_key", "causeway:db_pass"))
    assert "hunter2" not in str(caught.value)


def test_a_wrong_configuration_ends_the_program_without_traceback() -> None:
    config = {**with_key(*new_key()), "tenants": "alpha", "underlay_mtu": 1}
    with pytest.raises(pulumi.RunError) as caught:
        within(config, settings_from_pulumi)
    assert caught.value.__suppress_context__
    assert "tenants: alpha" in str(caught.value)
    assert "underlay_mtu: 1" in str(caught.value)


def test_public_ranges_are_warned_about(warnings: list[str]) -> None:
    config = with_key(*new_key())
    config["tenants"][0]["create"] |= {
        "vpc_cidr": "52.16.0.0/16",
        "subnet_cidr": "52.16.101.0/24",
        "instance_address": "52.16.101.4",
    }
    config["tenants"][0] |= {"cidrs": ["52.16.101.0/24"], "user_eni_address": "52.16.101.10"}
    within(config, settings_from_pulumi)
    assert len(warnings) == 3
