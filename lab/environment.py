"""A variable of this process's environment, for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def in_the_environment(name: str, value: str) -> Iterator[None]:
    """With this value meanwhile; as it was afterwards, whatever happens."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
