"""What a pair's proxy asks of AWS: signed as AWS's own library signs, and nothing believed that has another form."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Known
from hypothesis import given
from hypothesis import strategies as st
from pair_aws import Answer, Credentials, Ec2, Metadata, MetadataError, date_of, reason_of, signed

from tests.unit.pair_servers import Server, certificate, serve

AT = datetime(2026, 11, 27, 1, 2, 3, tzinfo=UTC)
KEY = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a/token+of=many_signs-")
TEXT = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=80)


@given(body=TEXT, region=st.sampled_from(["us-east-1", "eu-central-1"]), port=st.sampled_from(["", ":8773"]))
def test_the_signature_is_that_of_aws_s_own_library(body: str, region: str, port: str) -> None:
    authority = f"ec2.{region}.amazonaws.com{port}"
    headers = signed(authority, region, body, KEY, AT)
    request = AWSRequest(
        method="POST",
        url=f"https://{authority}/",
        data=body,
        headers={"Content-Type": headers["content-type"], "Host": authority},
    )
    with patch("botocore.auth.get_current_datetime", lambda: AT.replace(tzinfo=None)):
        SigV4Auth(Known(KEY.key, KEY.secret, KEY.token), "ec2", region).add_auth(request)
    assert headers["authorization"] == request.headers["Authorization"]


def test_secrets_are_not_shown() -> None:
    assert KEY.secret not in repr(KEY)
    assert KEY.token not in repr(KEY)


def claimed(answer: Callable[[str], str], **options: object) -> tuple[str, list[str]]:
    """What came of a claim at a server that answers so, and the requests it got."""

    async def claim(server: Server) -> str:
        ec2 = Ec2(f"http://ec2.us-east-1.amazonaws.com:{server.port}", "us-east-1", "127.0.0.1")
        return await ec2.claim("eni-0a", "192.168.4.100", KEY)

    return asyncio.run(serve(answer, claim, **options))  # type: ignore[arg-type]


def test_a_claim_asks_for_the_address_wherever_it_is() -> None:
    came, (request,) = claimed(lambda _: "HTTP/1.1 200 OK\r\n\r\n<return>true</return>")
    assert came == ""
    head, _, body = request.partition("\r\n\r\n")
    assert head.startswith("POST / HTTP/1.0\r\n")
    assert "Action=AssignPrivateIpAddresses&" in body
    assert body.endswith("&NetworkInterfaceId=eni-0a&PrivateIpAddress.1=192.168.4.100&AllowReassignment=true")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            "HTTP/1.1 403 No\r\n\r\n<Error><Code>UnauthorizedOperation</Code></Error>",
            "HTTP 403 UnauthorizedOperation",
        ),
        ("HTTP/1.1 503 No\r\n\r\nlater", "HTTP 503"),
        ("HTTP/1.1 403 No\r\n\r\n<Code>\x1b[2J</Code>", "HTTP 403"),
        ("SSH-2.0-OpenSSH\r\n", "no answer (no answer of a web server)"),
        ("", "no answer (no answer of a web server)"),
    ],
)
def test_what_is_no_yes_is_refused_with_its_reason(answer: str, said: str) -> None:
    assert claimed(lambda _: answer)[0] == said


def test_a_server_that_says_nothing_is_given_up() -> None:
    with patch("pair_aws.CLAIM_TAKES_S", 0.2):
        assert claimed(lambda _: "HTTP/1.1 200 OK\r\n\r\n", waits_s=5.0)[0] == "no answer"


def test_an_answer_ends_where_it_says_although_the_server_stays() -> None:
    answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nyes!"
    assert claimed(lambda _: answer, stays_s=30.0)[0] == ""


def test_https_is_for_the_api_s_name_at_whatever_address() -> None:
    async def claim(server: Server, name: str, trusted: ssl.SSLContext) -> str:
        ec2 = Ec2(f"https://{name}:{server.port}", "us-east-1", "127.0.0.1")
        ec2._tls = trusted
        return await ec2.claim("eni-0a", "192.168.4.100", KEY)

    context, trusted = certificate("ec2.us-east-1.amazonaws.com")
    for name, said in (("ec2.us-east-1.amazonaws.com", ""), ("evil.example", "CERTIFICATE_VERIFY_FAILED")):
        came, requests = asyncio.run(
            serve(
                lambda _: "HTTP/1.1 200 OK\r\n\r\n",
                lambda server, name=name: claim(server, name, trusted),  # type: ignore[misc]
                tls=context,
            )
        )
        assert said in came
        assert bool(requests) == (not said), "nothing is sent to another"


async def reached(url: str, trusted: ssl.SSLContext | None = None) -> str:
    ec2 = Ec2(url, "us-east-1", "127.0.0.1")
    ec2._tls = trusted
    return await ec2.is_reached()


def test_an_api_is_reached_without_a_word_of_a_request() -> None:
    async def look(heard: list[bytes]) -> tuple[str, str]:
        ended = asyncio.Event()

        async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.read())
            writer.close()
            ended.set()

        server = await asyncio.start_server(one, "127.0.0.1", 0)
        url = f"http://ec2.us-east-1.amazonaws.com:{server.sockets[0].getsockname()[1]}"
        while_it_serves = await reached(url)
        await asyncio.wait_for(ended.wait(), 10)
        server.close()
        await server.wait_closed()
        return while_it_serves, await reached(url)

    heard: list[bytes] = []
    there, gone = asyncio.run(look(heard))
    assert (there, heard) == ("", [b""])
    assert gone == "Connection refused"


@pytest.mark.parametrize(
    ("name", "said"), [("ec2.us-east-1.amazonaws.com", ""), ("evil.example", "CERTIFICATE_VERIFY_FAILED")]
)
def test_one_that_does_not_prove_its_name_is_not_the_api(name: str, said: str) -> None:
    async def look(server: asyncio.Server, trusted: ssl.SSLContext) -> str:
        async with server:
            return await reached(f"https://{name}:{server.sockets[0].getsockname()[1]}", trusted)

    async def both() -> str:
        context, trusted = certificate("ec2.us-east-1.amazonaws.com")
        return await look(
            await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0, ssl=context), trusted
        )

    came = asyncio.run(both())
    assert said in came
    assert bool(came) == bool(said)


def test_without_a_context_of_its_own_https_is_verified() -> None:
    context = Ec2("https://ec2.us-east-1.amazonaws.com", "us-east-1")._tls
    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


# ── metadata ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Answers(Metadata):
    """By path, as (status, text), with its head or without; tokens are given out, and refused once if `stale`."""

    def __init__(
        self, answers: dict[str, tuple[Any, ...]], stale: int = 0, refusals: Sequence[tuple[int, str]] = ()
    ) -> None:
        super().__init__("169.254.169.254")
        self.answers, self.stale, self.tokens, self.refusals = answers, stale, 0, list(refusals)

    async def _ask(self, method: str, path: str, headers: object) -> object:  # type: ignore[override]
        if method == "PUT" and self.refusals:
            return Answer(*self.refusals.pop())
        if method == "PUT":
            self.tokens += 1
            return Answer(200, f"token-{self.tokens}\n")
        assert headers == {"X-aws-ec2-metadata-token": f"token-{self.tokens}"}
        if self.tokens <= self.stale:
            return Answer(401, "")
        return Answer(*self.answers.get(path.removeprefix("meta-data/"), (404, "")))


@pytest.mark.parametrize("refusal", [(503, "later\r\nX-Evil: yes"), (200, "two\r\nlines"), (200, "")])
def test_what_is_no_token_is_not_used_as_one(refusal: tuple[int, str]) -> None:
    metadata = Answers({"network/interfaces/macs/02:01/local-ipv4s": (200, "10.0.0.4")}, refusals=[refusal])
    with pytest.raises(MetadataError, match="no token"):
        asyncio.run(metadata.local_ipv4s(["02:01"]))
    assert asyncio.run(metadata.local_ipv4s(["02:01"])) == {"02:01": {"10.0.0.4"}}


ROLE = "iam/security-credentials/"


def test_a_token_that_is_refused_is_renewed() -> None:
    metadata = Answers({"network/interfaces/macs/02:01/local-ipv4s": (200, "10.0.0.4\n10.0.0.100")}, stale=1)
    assert asyncio.run(metadata.local_ipv4s(["02:01", "02:01", "02:02"])) == {
        "02:01": {"10.0.0.4", "10.0.0.100"},
        "02:02": None,
    }


def test_credentials_of_the_role() -> None:
    told = {"AccessKeyId": KEY.key, "SecretAccessKey": KEY.secret, "Token": KEY.token}
    metadata = Answers({ROLE: (200, "proxy-0\n"), f"{ROLE}proxy-0": (200, json.dumps(told))})
    assert asyncio.run(metadata.credentials()) == KEY
    assert metadata.ahead_s == 0.0


@pytest.mark.parametrize(("ahead_s", "counts"), [(400, True), (-400, True), (20, False)])
def test_how_far_the_clock_is_ahead_is_read_beside_the_credentials(ahead_s: int, counts: bool) -> None:
    told = json.dumps({"AccessKeyId": KEY.key, "SecretAccessKey": KEY.secret, "Token": KEY.token})
    at = datetime.now(UTC) - timedelta(seconds=ahead_s)
    metadata = Answers(
        {
            ROLE: (200, "proxy-0\n"),
            f"{ROLE}proxy-0": (200, told, f"HTTP/1.1 200 OK\r\n{at:Date: %a, %d %b %Y %H:%M:%S GMT}"),
        }
    )
    asyncio.run(metadata.credentials())
    assert metadata.ahead_s == pytest.approx(ahead_s if counts else 0, abs=10)


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("Date: Sat, 28 Nov 2026 14:09:16 GMT", datetime(2026, 11, 28, 14, 9, 16, tzinfo=UTC)),
        ("date: Sat, 28 Nov 2026 14:09:16 GMT", datetime(2026, 11, 28, 14, 9, 16, tzinfo=UTC)),
        ("Date: Sat, 31 Feb 2026 14:09:16 GMT", None),
        ("Date: yesterday", None),
        ("X-Date: Sat, 28 Nov 2026 14:09:16 GMT", None),
    ],
)
def test_a_servers_clock_is_read_or_not_believed(line: str, read: datetime | None) -> None:
    assert date_of(f"HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 2") == read


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('192.0.2.7', 443)"), "Connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "its name is not known"),
        (OSError("Multiple exceptions: [Errno 111] …"), "no answer"),
        (TimeoutError(), "no answer"),
    ],
)
def test_why_there_is_no_connection_is_the_same_for_every_address(error: OSError, why: str) -> None:
    assert reason_of(error) == why


def test_a_claim_is_signed_by_aws_s_clock() -> None:
    async def claim(server: Server) -> str:
        url = f"http://ec2.us-east-1.amazonaws.com:{server.port}"
        return await Ec2(url, "us-east-1", "127.0.0.1", ahead_s=4000).claim("eni-0a", "192.168.4.100", KEY)

    came, (request,) = asyncio.run(serve(lambda _: "HTTP/1.1 200 OK\r\n\r\n", claim))
    assert came == ""
    signed_at = datetime.strptime(request.partition("x-amz-date: ")[2][:16], "%Y%m%dT%H%M%SZ")
    assert (datetime.now(UTC) - signed_at.replace(tzinfo=UTC)).total_seconds() == pytest.approx(4000, abs=60)


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ((404, ""), "{}"),
        ((200, "../../user-data"), "{}"),
        ((200, "proxy-0"), "{}"),
        ((200, "proxy-0"), "[]"),
        ((200, "proxy-0"), "not json"),
        (
            (200, "proxy-0"),
            json.dumps({"AccessKeyId": "A", "SecretAccessKey": "b\r\nX-Evil: c", "Token": "d"}),
        ),
    ],
)
def test_what_are_no_credentials_is_refused(role: tuple[int, str], text: str) -> None:
    with pytest.raises(MetadataError):
        asyncio.run(Answers({ROLE: role, f"{ROLE}proxy-0": (200, text)}).credentials())


def test_an_error_is_no_empty_list() -> None:
    with pytest.raises(MetadataError, match="HTTP 500"):
        asyncio.run(Answers({"network/interfaces/macs/02:01/local-ipv4s": (500, "")}).local_ipv4s(["02:01"]))
