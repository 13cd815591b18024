"""A question to AWS that may stay without an answer: for lack of a permission, or because it is asked too often."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from components.settings import Problem

Answer = TypeVar("Answer")


class NotSaidError(Exception):
    """AWS has not answered what was asked."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def answer_of(ask: Callable[[], Answer], key: str, value: str, action: str) -> Answer:
    """What AWS says, or `NotSaidError`: a problem of `key`, for which `action`, as IAM names it, must be allowed."""
    try:
        return ask()
    except Exception as error:  # the SDK has no narrower one
        raise NotSaidError(
            Problem(
                key=key,
                value=value,
                rule=f"cannot be looked up: {error}",
                way_out=f"run it again, with credentials that may {action}",
            )
        ) from error
