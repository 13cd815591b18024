"""Which moto this package amends, and a quicker way to import it."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from lab.errors import LabError

MOTO_VERSION = "5.2.5"


def require_moto() -> None:
    """Refuse any other version: `lab.cloud` replaces parts of moto that are no public interface."""
    try:
        found = version("moto")
    except PackageNotFoundError:
        found = "none"
    if found != MOTO_VERSION:
        raise LabError(
            f"the lab's EC2 API needs moto {MOTO_VERSION}, installed is {found}",
            hint="run `make setup`, which installs the pinned versions into .venv",
        )


def import_moto() -> None:
    """Import moto's EC2, which makes several sessions, each of which parses the same megabytes of JSON."""
    from botocore.loaders import JSONFileLoader

    loader = JSONFileLoader()
    parse = JSONFileLoader.load_file
    parsed = cache(lambda path: parse(loader, path))
    JSONFileLoader.load_file = lambda _self, path: parsed(path)  # type: ignore[method-assign, assignment]
    try:
        import_module("moto.ec2.models")
        import_module("moto.core.utils").get_service_model("ec2")  # would be the first call's
    finally:
        JSONFileLoader.load_file = parse  # type: ignore[method-assign]
