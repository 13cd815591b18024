"""Connections to hosts: by a bastion if there is one, patiently, and once per host."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

import paramiko

from lab.providers.plugin.errors import ProviderError

Values = Mapping[str, Any]
# As the real plugin waits between attempts: ten of them last 11 s, sixty 4.4 min.
FIRST_PAUSE_S, FACTOR, LONGEST_PAUSE_S = 0.1, 1.5, 5.0
UNLIMITED = -1
STALE_AFTER_S = 5.0  # a kept session that does not open a channel in this time is not worth waiting for
KEYS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


class Dialer:
    """Opens channels. Sessions are shared by all commands of a host; a dead one is replaced."""

    def __init__(self, cancelled: threading.Event) -> None:
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._host_locks: dict[str, threading.Lock] = {}
        self._sessions: dict[str, paramiko.Transport] = {}

    def channel(self, connection: Values) -> paramiko.Channel:
        """A new channel for a command or for SFTP; raises ProviderError when the attempts are used up."""
        key = json.dumps(connection, sort_keys=True)
        with self._lock:
            host_lock = self._host_locks.setdefault(key, threading.Lock())
        with host_lock:
            kept = self._sessions.pop(key, None)
            if kept is not None and (channel := _try_channel(kept)) is not None:
                self._sessions[key] = kept
                return channel
            transport = self._dial(connection)
            self._sessions[key] = transport
            try:
                return transport.open_session()
            except Exception as error:  # paramiko passes on whatever its reader met in what the host sent
                raise ProviderError(f"{_named(connection)} opens no session: {error}") from error

    def _dial(self, connection: Values) -> paramiko.Transport:
        limit = int(connection["dialErrorLimit"])
        began, pause, attempts = time.monotonic(), FIRST_PAUSE_S, 0
        while True:
            try:
                return _connect_once(connection)
            except ProviderError:
                raise
            except Exception as error:  # paramiko passes on whatever its reader met in what the host sent
                attempts += 1
                if limit != UNLIMITED and attempts > limit:
                    raise ProviderError(
                        f"{_named(connection)} does not let anybody in after {attempts} attempts in "
                        f"{time.monotonic() - began:.0f} s: {_words(error)}"
                    ) from error
            if self._cancelled.wait(pause):
                raise ProviderError(f"cancelled while connecting to {_named(connection)}")
            pause = min(pause * FACTOR, LONGEST_PAUSE_S)


def _try_channel(transport: paramiko.Transport) -> paramiko.Channel | None:
    if not transport.is_active():
        return None
    try:
        return transport.open_session(timeout=STALE_AFTER_S)
    except Exception:  # likewise: a new session says what it is about
        transport.close()
        return None


def _connect_once(connection: Values) -> paramiko.Transport:
    proxy = connection.get("proxy")
    timeout = _timeout(connection)
    address = (connection["host"], int(connection["port"]))
    if proxy is None:
        return _log_in(socket.create_connection(address, timeout), connection)
    bastion = _log_in(socket.create_connection((proxy["host"], int(proxy["port"])), _timeout(proxy)), proxy)
    try:
        inner = bastion.open_channel("direct-tcpip", address, ("127.0.0.1", 0), timeout=timeout)
        return _log_in(inner, connection)
    except BaseException:
        bastion.close()
        raise


def _log_in(stream: socket.socket | paramiko.Channel, endpoint: Values) -> paramiko.Transport:
    transport = paramiko.Transport(stream)
    timeout = _timeout(endpoint)
    for which in ("banner_timeout", "handshake_timeout", "auth_timeout"):
        setattr(transport, which, timeout or 3600.0)
    try:
        transport.start_client(timeout=timeout)
        _verify(transport, endpoint)
        _authenticate(transport, endpoint)
    except BaseException:
        transport.close()
        raise
    return transport


def _verify(transport: paramiko.Transport, endpoint: Values) -> None:
    """Without `hostKey` every host is believed, as the real plugin does."""
    expected = endpoint.get("hostKey")
    if expected is None:
        return
    key = transport.get_remote_server_key()
    words = expected.split()
    wanted = words[1] if len(words) > 1 else words[0]
    if key.get_base64() != wanted:
        raise ProviderError(
            f"{_named(endpoint)} shows another host key than the one given, a {key.get_name()}"
        )


def _authenticate(transport: paramiko.Transport, endpoint: Values) -> None:
    user, refused = endpoint["user"], []
    if "privateKey" in endpoint:
        try:
            transport.auth_publickey(user, _private_key(endpoint))
        except paramiko.AuthenticationException as error:
            refused.append(f"the key: {error}")
    if not transport.is_authenticated() and "password" in endpoint:
        try:
            transport.auth_password(user, endpoint["password"])
        except paramiko.AuthenticationException as error:
            refused.append(f"the password: {error}")
    if not transport.is_authenticated():
        refused += _authenticate_by_agent(transport, endpoint)
    if not transport.is_authenticated():
        how = "; ".join(refused) or "there is no privateKey, no password, no agent"
        # Not final: a host that is just starting may not have its keys yet.
        raise paramiko.SSHException(f"the login as {user} is refused ({how})")


def _authenticate_by_agent(transport: paramiko.Transport, endpoint: Values) -> list[str]:
    path = endpoint.get("agentSocketPath")
    if path is None:
        return []
    from paramiko.agent import AgentSSH

    agent: Any = AgentSSH()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.connect(path)
        agent._connect(stream)  # the public class takes its socket from the environment only
        keys = agent.get_keys()
        for key in keys:
            try:
                transport.auth_publickey(endpoint["user"], key)
            except paramiko.AuthenticationException:
                continue
            return []
    return [f"each of the agent's {len(keys)} keys"]


def _private_key(endpoint: Values) -> paramiko.PKey:
    """The key from its text; a wrong one is an error at once, because no attempt makes it right."""
    problems = []
    for kind in KEYS:
        try:
            return kind.from_private_key(
                io.StringIO(endpoint["privateKey"]), endpoint.get("privateKeyPassword")
            )
        except paramiko.PasswordRequiredException as error:
            raise ProviderError("privateKey is encrypted: privateKeyPassword is missing") from error
        except (paramiko.SSHException, ValueError, IndexError) as error:
            problems.append(str(error))
    raise ProviderError(f"privateKey is no key that SSH knows ({problems[0]})")


def _timeout(endpoint: Values) -> float | None:
    """Of one attempt; 0 is none."""
    return float(endpoint["perDialTimeout"]) or None


def _named(endpoint: Values) -> str:
    via = f" by {_named(endpoint['proxy'])}" if endpoint.get("proxy") else ""
    return f"{endpoint['user']}@{endpoint['host']}:{int(endpoint['port'])}{via}"


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
