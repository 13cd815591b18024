"""Errors as EC2 names them."""

from __future__ import annotations

from moto.ec2.exceptions import EC2ClientError


def ec2_error(code: str, message: str) -> EC2ClientError:
    """An error that the client sees with this code; the call that raises it changes nothing."""
    return EC2ClientError(code, message)


def invalid_value(message: str) -> EC2ClientError:
    """A parameter's value breaks a rule."""
    return ec2_error("InvalidParameterValue", message)


def invalid_filter(name: str) -> EC2ClientError:
    """A filter that the call does not have."""
    return invalid_value(f"The filter '{name}' is invalid")


def missing(parameter: str) -> EC2ClientError:
    """A parameter that the call needs."""
    return ec2_error("MissingParameter", f"The request must contain the parameter {parameter}")


def dependency(message: str) -> EC2ClientError:
    """Something else still needs what is to be deleted."""
    return ec2_error("DependencyViolation", message)


def unsupported(message: str) -> EC2ClientError:
    """What the lab cannot do is said, never ignored."""
    return ec2_error("UnsupportedOperation", f"The lab's EC2 cannot do this: {message}")
