"""command:remote:CopyToRemote"""

from __future__ import annotations

import io
import posixpath
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.providers.command.endpoint import CONNECTION
from lab.providers.plugin.errors import CheckFailure, ProviderError
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop, Schema
from lab.providers.plugin.values import UNKNOWN, Asset

if TYPE_CHECKING:
    import paramiko  # slow to import, and a run that changes nothing needs none of it

Values = Mapping[str, Any]
OpenChannel = Callable[[Values], "paramiko.Channel"]


class RemoteCopy:
    """A file or directory by SFTP. Copied again when its content or the path changes, not when the host does."""

    type_name = "command:remote:CopyToRemote"
    schema = Schema(
        "command",
        type_name,
        {
            **CONNECTION,
            "source": Prop(kind=Kind.ASSET, required=True),
            "remotePath": Prop(required=True),
            "triggers": Prop(kind=Kind.VALUES, replaces=True),
        },
    )

    def __init__(self, open_channel: OpenChannel) -> None:
        self._open_channel = open_channel

    def check(self, new: Values) -> list[CheckFailure]:
        """The source must be known, also in a preview, and something with a content of its own."""
        source = new.get("source")
        if source is UNKNOWN:
            return [CheckFailure("asset", "either asset or archive must be set")]
        if isinstance(source, Asset) and source.path is None and source.text is None and not source.hash:
            return [CheckFailure("asset", "asset must be a path-based file asset or a text asset")]
        return []

    def create(self, urn: Urn, new: Values) -> Values:
        """Copy."""
        self._copy(new)
        return new

    def update(self, urn: Urn, state: Values, new: Values) -> Values:
        """Copy if content or path changed."""
        old = state.get("source")
        is_same = isinstance(old, Asset) and old.hash == new["source"].hash
        if not is_same or state.get("remotePath") != new["remotePath"]:
            self._copy(new)
        return new

    def delete(self, urn: Urn, state: Values) -> None:
        """What was copied stays, as with the real plugin."""

    def _copy(self, new: Values) -> None:
        import paramiko

        source, target = new["source"], new["remotePath"]
        channel = self._open_channel(new["connection"])
        channel.invoke_subsystem("sftp")
        with paramiko.SFTPClient(channel) as sftp:
            try:
                _copy(sftp, source, target)
            except OSError as error:
                raise ProviderError(f"copying to {new['connection']['host']}:{target}: {error}") from error


def _copy(sftp: paramiko.SFTPClient, source: Asset, target: str) -> None:
    if source.text is not None:
        if _is_directory(sftp, target):
            raise ProviderError(f"{target} is a directory; a text asset needs the path of a file")
        sftp.putfo(io.BytesIO(source.text.encode()), target)
        return
    if source.path is None:
        raise ProviderError("only assets and archives of a local path, or of text, can be copied")
    path = Path(source.path)
    if path.is_dir():
        _make_directory(sftp, target)
        # With a slash at its end, what is in the directory; without, the directory itself.
        inner = target if source.path.endswith("/") else posixpath.join(target, path.name)
        _copy_tree(sftp, path, inner)
    else:
        is_directory = _is_directory(sftp, target)
        sftp.put(str(path), posixpath.join(target, path.name) if is_directory else target)


def _copy_tree(sftp: paramiko.SFTPClient, path: Path, target: str) -> None:
    _make_directory(sftp, target)
    for entry in sorted(path.iterdir()):
        inner = posixpath.join(target, entry.name)
        if entry.is_dir():
            _copy_tree(sftp, entry, inner)
        else:
            sftp.put(str(entry), inner)


def _is_directory(sftp: paramiko.SFTPClient, path: str) -> bool | None:
    """None: there is nothing."""
    try:
        mode = sftp.stat(path).st_mode
    except FileNotFoundError:
        return None
    return mode is not None and stat.S_ISDIR(mode)


def _make_directory(sftp: paramiko.SFTPClient, path: str) -> None:
    is_directory = _is_directory(sftp, path)
    if is_directory is None:
        sftp.mkdir(path)
    elif not is_directory:
        raise ProviderError(f"{path} exists on the host, and is no directory")
