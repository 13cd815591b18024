"""The operator's private key: from a file, and whether it belongs to the public one.

A key that does not fit would show only when hosts are made and refuse it, minutes later.
"""

from __future__ import annotations

import io
from pathlib import Path

import paramiko

from components.settings import ConfigurationError, Problem, Settings

_WAY_OUT = "name the private key that belongs to access.public_key, or make a pair: ssh-keygen -t ed25519"


def is_there(file: str) -> bool:
    """Whether a private key's file exists; where that cannot be found out, reading it says why."""
    try:
        return Path(file).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return True


def private_key_in(file: str) -> str:
    """The content of a private key's file; `ConfigurationError` if there is none to be had."""
    try:
        return Path(file).expanduser().read_text(encoding="utf-8")
    except (
        OSError,
        RuntimeError,
        ValueError,
    ) as error:  # RuntimeError: no home directory; ValueError: no text
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _problem(file, f"cannot be read: {reason}") from None


def doubt_about(settings: Settings, private_key: str) -> tuple[Problem, ...]:
    """A doubt about a key that cannot be read here; the command provider may still know its format.

    `ConfigurationError` if it needs a passphrase, or is not the other half of `access.public_key`.
    """
    file = settings.private_key_file
    kind, encoded = (settings.access.public_key or "").split()[:2]
    reader = paramiko.RSAKey if kind == "ssh-rsa" else paramiko.Ed25519Key
    try:
        key = reader.from_private_key(io.StringIO(private_key))
    except paramiko.PasswordRequiredException:
        raise _problem(file, "needs a passphrase, and nobody is there to type it") from None
    except (paramiko.SSHException, ValueError, IndexError) as error:
        rule = f"is not read as a private key of type {kind}: {error}"
        return tuple(_problem(file, rule).problems)
    if key.get_base64() != encoded:
        raise _problem(file, "does not belong to access.public_key: no host would let it in")
    return ()


def _problem(file: str | None, rule: str) -> ConfigurationError:
    key = "private_key" if file is None else "private_key_file"
    return ConfigurationError([Problem(key=key, value=file or "(a secret)", rule=rule, way_out=_WAY_OUT)])
