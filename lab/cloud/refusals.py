"""Answers to calls that are not let in, in the codes and the form of each service."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from xml.sax.saxutils import escape

from moto.utilities.aws_headers import gen_amzn_requestid_long
from werkzeug.wrappers import Response

XML, JSON = "text/xml", "application/x-amz-json-1.1"


class Reason(StrEnum):
    """Why a call is not let in; the values are messages, after AWS's own."""

    INCOMPLETE = "The request's signature lacks a part, or a part is malformed."
    UNKNOWN = "AWS was not able to validate the provided access credentials"
    MISMATCH = (
        "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method."
    )
    LATE = "Request has expired."
    TOKEN_EXPIRED = "The security token included in the request is expired"  # noqa: S105 - a message
    ELSEWHERE = "Credential should be scoped to the service and the region of this endpoint, not to"
    DENIED = "You are not authorized to perform this operation."


@dataclass(frozen=True)
class Refusal:
    """A reason, which becomes an error of the service that was called."""

    service: str
    reason: Reason
    detail: str = ""

    def response(self) -> Response:
        """The error as boto3 and others understand it."""
        code, status = CODES[self.reason][FORMS[self.service]]
        message = f"{self.reason} {self.detail}".strip()
        if self.service == "ssm":
            return Response(json.dumps({"__type": code, "message": message}), status, content_type=JSON)
        request_id = gen_amzn_requestid_long()
        error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
        if self.service == "ec2":
            body = f"<Errors><Error>{error}</Error></Errors><RequestID>{request_id}</RequestID>"
            return Response(f"<Response>{body}</Response>", status, content_type=XML)
        body = f"<Error><Type>Sender</Type>{error}</Error><RequestId>{request_id}</RequestId>"
        return Response(f"<ErrorResponse>{body}</ErrorResponse>", status, content_type=XML)


FORMS = {"ec2": 0, "iam": 1, "sts": 1, "ssm": 2}
CODES = {  # code and HTTP status, in each of the forms
    Reason.INCOMPLETE: (
        ("IncompleteSignature", 400),
        ("IncompleteSignature", 400),
        ("IncompleteSignatureException", 400),
    ),
    Reason.UNKNOWN: (
        ("AuthFailure", 401),
        ("InvalidClientTokenId", 403),
        ("UnrecognizedClientException", 400),
    ),
    Reason.MISMATCH: (
        ("SignatureDoesNotMatch", 403),
        ("SignatureDoesNotMatch", 403),
        ("InvalidSignatureException", 400),
    ),
    Reason.LATE: (
        ("RequestExpired", 400),
        ("SignatureDoesNotMatch", 403),
        ("InvalidSignatureException", 400),
    ),
    Reason.TOKEN_EXPIRED: (
        ("RequestExpired", 400),
        ("ExpiredToken", 403),
        ("ExpiredTokenException", 400),
    ),
    Reason.ELSEWHERE: (
        ("AuthFailure", 401),
        ("SignatureDoesNotMatch", 403),
        ("InvalidSignatureException", 400),
    ),
    Reason.DENIED: (
        ("UnauthorizedOperation", 403),
        ("AccessDenied", 403),
        ("AccessDeniedException", 400),
    ),
}
