"""Only calls that are signed with a key of the lab are answered, whoever made them with whatever client."""

from __future__ import annotations

import hashlib
import hmac
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest
from moto.core.request import Request

from lab.cloud.authentication import Authentication
from lab.cloud.credentials import Key
from lab.cloud.refusals import Reason, Refusal
from lab.cloud.signature import Signature, read_signature
from tests.unit.cloud_testing import REGION, LabUnderTest, code_of, endpoint, session
from tests.unit.test_cloud_identity import client, profile

Json = Any
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass
class Signer:
    """Signs as curl does: host and date only, with code that shares nothing with the lab's or botocore's."""

    access_key_id: str
    secret: str
    token: str = ""
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    service: str = "ec2"
    query: str = ""
    target: str = ""
    host: str = ""  # of the cloud under test, if no other

    def headers(self, body: str, **changes: str) -> dict[str, str]:
        """Of a POST of `body`; `changes` are made after signing."""
        time = f"{self.time:%Y%m%dT%H%M%SZ}"
        signed = {"host": self.host or urlsplit(endpoint()).netloc, "x-amz-date": time}
        if self.token:
            signed["x-amz-security-token"] = self.token
        if self.target:
            signed["x-amz-target"] = self.target
        names = ";".join(signed)
        lines = [f"{name}:{value}\n" for name, value in signed.items()]
        request = (
            f"POST\n/\n{self.query}\n{''.join(lines)}\n{names}\n{hashlib.sha256(body.encode()).hexdigest()}"
        )
        scope = f"{time[:8]}/{REGION}/{self.service}/aws4_request"
        text = f"{ALGORITHM}\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self.secret}".encode()
        for part in (*scope.split("/"), text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        credential = f"Credential={self.access_key_id}/{scope}"
        return {
            **signed,
            "content-type": "application/x-www-form-urlencoded",
            "authorization": f"{ALGORITHM} {credential}, SignedHeaders={names}, Signature={key.hex()}",
            **changes,
        }


def operator(lab: LabUnderTest, **changes: Json) -> Signer:
    return Signer(
        **{"access_key_id": lab.cloud.access_key_id, "secret": lab.cloud.secret_access_key, **changes}
    )


BODY = "Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0%2F16"


def post(headers: Mapping[str, str], body: str = BODY, query: str = "") -> tuple[int, str]:
    """Status and body of the answer."""
    try:
        with urlopen(
            HttpRequest(f"{endpoint()}/?{query}", body.encode(), dict(headers)), timeout=10
        ) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_a_signature_over_host_and_date_alone(lab: LabUnderTest) -> None:
    status, text = post(operator(lab).headers(BODY))
    assert status == 200, text
    assert list(lab.world.vpcs) == [text.partition("<vpcId>")[2].partition("</vpcId>")[0]]


def test_a_role_session_needs_its_token(lab: LabUnderTest) -> None:
    profile("proxy")
    keys = lab.cloud.credentials_for("proxy", "i-1")
    who = "Action=GetCallerIdentity&Version=2011-06-15"
    signer = Signer(keys.access_key_id, keys.secret_access_key, keys.token, service="sts")
    status, text = post(signer.headers(who), who)
    assert status == 200, text
    assert "assumed-role/proxy/i-1" in text
    signer.token = ""
    assert "<Code>InvalidClientTokenId</Code>" in post(signer.headers(who), who)[1]
    signer.token = "another"
    assert "<Code>InvalidClientTokenId</Code>" in post(signer.headers(who), who)[1]


def test_what_is_signed_wrongly_is_refused(lab: LabUnderTest) -> None:
    def code(signer: Signer, body: str = BODY, **changes: str) -> str:
        text = post(signer.headers(BODY, **changes), body)[1]
        return text.partition("<Code>")[2].partition("</Code>")[0]

    assert code(operator(lab, access_key_id="bogus")) == "AuthFailure"
    assert code(operator(lab, secret="wrong")) == "SignatureDoesNotMatch"
    assert code(operator(lab, token="superfluous")) == "AuthFailure"
    assert code(operator(lab), BODY.replace("10.0", "10.1")) == "SignatureDoesNotMatch"
    assert code(operator(lab), host="elsewhere") == "SignatureDoesNotMatch"
    assert code(operator(lab), authorization=f"{ALGORITHM} Credential=a/b/c/ec2/e") == "IncompleteSignature"
    assert code(operator(lab), **{"x-amz-target": "Ec2.CreateVpc"}) == "SignatureDoesNotMatch"
    for minutes in (-16, 16):
        late = datetime.now(UTC) + timedelta(minutes=minutes)
        assert code(operator(lab, time=late)) == "RequestExpired"
    assert lab.world.vpcs == {}


def test_each_service_names_an_unknown_key_in_its_own_way(lab: LabUnderTest) -> None:
    lab.vpc()
    assert code_of(client("ec2", "bogus", "wrong").describe_vpcs) == "AuthFailure"
    assert code_of(client("iam", "bogus", "wrong").list_roles) == "InvalidClientTokenId"
    assert code_of(client("sts", "bogus", "wrong").get_caller_identity) == "InvalidClientTokenId"
    assert code_of(client("ssm", "bogus", "wrong").describe_parameters) == "UnrecognizedClientException"


@pytest.mark.usefixtures("lab")
def test_keys_of_iam_users_work_until_they_are_switched_off() -> None:
    iam = client("iam")
    iam.create_user(UserName="eve")
    made = iam.create_access_key(UserName="eve")["AccessKey"]
    sts = client("sts", made["AccessKeyId"], made["SecretAccessKey"])
    assert sts.get_caller_identity()["Arn"].endswith(":user/eve")
    iam.update_access_key(UserName="eve", AccessKeyId=made["AccessKeyId"], Status="Inactive")
    assert code_of(sts.get_caller_identity) == "InvalidClientTokenId"


def test_a_web_page_is_refused_whatever_it_knows(lab: LabUnderTest) -> None:
    signed = operator(lab).headers(BODY)
    assert post({**signed, "origin": "https://example.com"})[0] == 403
    assert post({**signed, "origin": "null"})[0] == 403
    scope = f"X-Amz-Credential=k/20150830/{REGION}/ec2/aws4_request"
    with pytest.raises(HTTPError, match="400"):
        urlopen(f"{endpoint()}/?{scope}&{BODY}", timeout=10)
    assert lab.world.vpcs == {}


@pytest.mark.usefixtures("lab")
def test_presigned_urls() -> None:
    sts: Json = session().client("sts", endpoint_url=endpoint())
    url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    with urlopen(url, timeout=10) as answer:
        assert "user/operator" in answer.read().decode()
    for other in (
        url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"),
        url.replace("GetCallerIdentity", "GetSessionToken"),
    ):
        with pytest.raises(HTTPError, match="403"):
            urlopen(other, timeout=10)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(lab: LabUnderTest) -> None:
    curl = partial(subprocess.run, capture_output=True, text=True, check=True)
    command = ["curl", "--silent", "--noproxy", "*", "--aws-sigv4", f"aws:amz:{REGION}:ec2", "--data", BODY]
    user = f"{lab.cloud.access_key_id}:{lab.cloud.secret_access_key}"
    assert "<vpcId>" in curl([*command, "--user", user, endpoint()]).stdout
    assert "SignatureDoesNotMatch" in curl([*command, "--user", user + "x", endpoint()]).stdout


def published(path: str, headers: Mapping[str, str], service: str, digest: str) -> Request:
    """A signed request of AWS's documentation."""
    names = ";".join(sorted(name.lower() for name in headers))
    credential = f"Credential=AKIDEXAMPLE/20150830/us-east-1/{service}/aws4_request"
    authorization = f"{ALGORITHM} {credential}, SignedHeaders={names}, Signature={digest}"
    return Request.from_primitives(
        "GET", f"https://{headers['Host']}{path}", {**headers, "Authorization": authorization}
    )


VANILLA = published(
    "/",
    {"Host": "example.amazonaws.com", "X-Amz-Date": "20150830T123600Z"},
    "service",
    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
)


def read(request: Request) -> Signature:
    signature = read_signature(request)
    assert signature is not None
    return signature


def test_the_published_examples() -> None:
    assert read(VANILLA).matches(VANILLA, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    users = published(
        "/?Version=2010-05-08&Action=ListUsers",  # not in canonical order
        {
            "Content-Type": "application/x-www-form-urlencoded;  charset=utf-8",  # nor are its blanks
            "Host": "iam.amazonaws.com",
            "X-Amz-Date": "20150830T123600Z",
        },
        "iam",
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    )
    assert read(users).matches(users, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


@pytest.mark.parametrize(
    ("minutes", "expires", "reason"),
    [
        (0, 1, None),
        (14, 20, None),
        (-14, 20, None),
        (0, -1, Reason.TOKEN_EXPIRED),
        (16, 20, Reason.LATE),
        (-16, 20, Reason.LATE),
    ],
)
def test_the_limits_of_time(minutes: int, expires: int, reason: Reason | None) -> None:
    now = NOW + timedelta(minutes=minutes)
    key = Key(secret=SECRET, expiration=NOW + timedelta(minutes=expires))
    found = Authentication(lambda _id: key, lambda: now).signature_of(VANILLA)
    assert found == (read(VANILLA) if reason is None else Refusal("service", reason))
