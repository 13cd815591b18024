"""What IAM policies say about a call. Pure: no cloud, no credentials.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

What is not understood (an element, an operator, a condition key) is never in a caller's favour: a statement that
allows does not apply because of it, a statement that denies does. A line in the log says so.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

log = logging.getLogger(__name__)
Json = Any

WITH_VARIABLES = "2012-10-17"
ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
ARN_PARTS = 6
TOKEN = re.compile(r"\$\{([^}]*)\}|[*?]|[^$*?]+|\$")
COLON = re.compile(r":(?![^{}]*\})")  # none inside ${…}


class Decision(StrEnum):
    """Without a statement about it a call is not allowed, but another set of policies may still allow it."""

    ALLOW = "allow"
    DENY = "deny"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Call:
    """An action on one resource.

    `resource` is an ARN, or `*` where the action is about none in particular. `keys` are the condition keys of the
    call by their names, each with its values; one without values is known not to be there, and so is every key that
    begins with one of `families` (`aws:ResourceTag/`). Any other key is unknown.
    """

    action: str  # service:Name
    resource: str = "*"
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    families: Sequence[str] = ()

    def values(self, key: str) -> Sequence[str]:
        """Of a condition key; names are the same in any case. Raises NotUnderstoodError for an unknown one."""
        wanted = key.lower()
        found = [values for name, values in self.keys.items() if name.lower() == wanted]
        if len(found) == 1:
            return found[0]
        if found:  # tags that differ in nothing but case
            raise NotUnderstoodError(f"the condition key {key}, which is there several times,")
        if wanted.startswith(tuple(family.lower() for family in self.families)):
            return ()
        raise NotUnderstoodError(f"the condition key {key}")


class NotUnderstoodError(Exception):
    """Something in a policy that has no meaning here."""


Part = Callable[
    [Mapping[str, Json], Call, bool], bool
]  # of a statement; the last: whether ${…} has a meaning


def decide(documents: Iterable[Mapping[str, Json]], call: Call) -> Decision:
    """What the documents say together: one statement that denies outweighs all that allow."""
    decision = Decision.NONE
    for document in documents:
        for statement in _several(document.get("Statement", [])):
            allows = statement.get("Effect") == "Allow"
            if _applies(statement, call, document.get("Version") == WITH_VARIABLES, unclear=not allows):
                if not allows:
                    return Decision.DENY
                decision = Decision.ALLOW
    return decision


def _applies(statement: Mapping[str, Json], call: Call, variables: bool, *, unclear: bool) -> bool:
    """Whether every part of a statement matches; `unclear` if that depends on what is not understood."""
    doubt = None
    for part in (_matches_action, _matches_resource, *_conditions(statement)):
        try:
            if not part(statement, call, variables):
                return False
        except NotUnderstoodError as error:
            doubt = error
    if unknown := statement.keys() - ELEMENTS:
        doubt = NotUnderstoodError(f"the element {min(unknown)}")
    if doubt is None:
        return True
    log.warning(
        "%s on %s: %s is not understood, so the statement %s %s",
        call.action, call.resource, doubt, statement.get("Sid", ""),
        "applies" if unclear else "does not apply",
    )  # fmt: skip
    return unclear


def _matches_action(statement: Mapping[str, Json], call: Call, _variables: bool) -> bool:
    action = call.action.lower()

    def matches(pattern: str) -> bool:
        return _like(pattern.lower(), action, call, variables=False)

    return _one_of(statement, "Action", matches)


def _matches_resource(statement: Mapping[str, Json], call: Call, variables: bool) -> bool:
    def matches(pattern: str) -> bool:
        if pattern and not pattern.strip("*"):
            return True
        return call.resource != "*" and _arn_like(pattern, call.resource, call, variables)

    return _one_of(statement, "Resource", matches)


def _one_of(statement: Mapping[str, Json], element: str, matches: Callable[[str], bool]) -> bool:
    """Whether one of the patterns of an element matches, or none of those of its opposite."""
    given = [name for name in (element, f"Not{element}") if name in statement]
    if len(given) != 1:
        raise NotUnderstoodError(f"a statement with {' and '.join(given) or f'no {element}'}")
    found = _any(matches, _several(statement[given[0]]))
    return found if given[0] == element else not found


def _conditions(statement: Mapping[str, Json]) -> list[Part]:
    """One part for each operator and key; all of them must hold."""
    conditions = statement.get("Condition", {})

    def part(operator: str, key: str, wanted: Json) -> Part:
        return lambda _statement, call, variables: _holds(operator, key, wanted, call, variables)

    return [
        part(operator, key, wanted) for operator, keys in conditions.items() for key, wanted in keys.items()
    ]


def _holds(operator: str, key: str, wanted: Json, call: Call, variables: bool) -> bool:
    quantifier, _, name = operator.rpartition(":")
    optional = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    values = call.values(key)
    patterns = [_text(value) for value in _several(wanted)]
    if operator == "Null" and patterns in (["true"], ["false"]):
        return (not values) == (patterns == ["true"])
    if name not in OPERATORS or quantifier not in QUANTIFIERS:
        raise NotUnderstoodError(f"the operator {operator}")
    compare, negated = OPERATORS[name]

    def matches(value: str) -> bool:
        return _any(lambda pattern: compare(pattern, value, call, variables), patterns) != negated

    if not values:
        return optional or quantifier == "ForAllValues" or (negated and not quantifier)
    if len(values) > 1 and not quantifier:
        raise NotUnderstoodError(f"{operator} on {key}, which has several values,")
    return all(map(matches, values)) if quantifier == "ForAllValues" else _any(matches, values)


def _any(matches: Callable[[str], bool], things: Iterable[str]) -> bool:
    """Whether one matches for certain; doubt about one matters only if no other does."""
    doubt = None
    for thing in things:
        try:
            if matches(thing):
                return True
        except NotUnderstoodError as error:
            doubt = error
    if doubt is not None:
        raise doubt
    return False


def _equals(pattern: str, value: str, call: Call, variables: bool) -> bool:
    return re.fullmatch(_expression(pattern, call, variables, wildcards=False), value, re.DOTALL) is not None


def _equals_ignoring_case(pattern: str, value: str, call: Call, variables: bool) -> bool:
    expression = _expression(pattern, call, variables, wildcards=False)
    return re.fullmatch(expression, value, re.DOTALL | re.IGNORECASE) is not None


def _like(pattern: str, value: str, call: Call, variables: bool) -> bool:
    return re.fullmatch(_expression(pattern, call, variables, wildcards=True), value, re.DOTALL) is not None


def _arn_like(pattern: str, value: str, call: Call, variables: bool) -> bool:
    """Part by part: a wildcard never reaches over a colon, except in the last part."""
    patterns = COLON.split(pattern, ARN_PARTS - 1)
    if len(patterns) != ARN_PARTS:
        raise NotUnderstoodError(f"{pattern}, which is no ARN,")
    parts = value.split(":", ARN_PARTS - 1)
    return len(parts) == ARN_PARTS and all(
        _like(p, v, call, variables) for p, v in zip(patterns, parts, strict=True)
    )


OPERATORS = {  # how to compare, and whether a match is what must not be
    "StringEquals": (_equals, False),
    "StringNotEquals": (_equals, True),
    "StringEqualsIgnoreCase": (_equals_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_equals_ignoring_case, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "ArnEquals": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnLike": (_arn_like, False),
    "ArnNotLike": (_arn_like, True),
    "Bool": (_equals_ignoring_case, False),
}
QUANTIFIERS = ("", "ForAnyValue", "ForAllValues")


def _expression(pattern: str, call: Call, variables: bool, *, wildcards: bool) -> str:
    """A regular expression; ${…} becomes the value of a condition key, in which nothing is a wildcard."""
    if not variables or "${" not in pattern:
        return _plain(pattern, wildcards)
    parts = []
    for token in TOKEN.finditer(pattern):
        name = token[1]
        if name is None:
            parts.append(_plain(token[0], wildcards))
        elif name in ("*", "?", "$"):
            parts.append(re.escape(name))
        elif len(values := call.values(name)) == 1:
            parts.append(re.escape(values[0]))
        else:
            raise NotUnderstoodError(f"${{{name}}}, which has not one value,")
    return "".join(parts)


@cache
def _plain(pattern: str, wildcards: bool) -> str:
    escaped = re.escape(pattern)
    return escaped.replace(r"\*", ".*").replace(r"\?", ".") if wildcards else escaped


def _several(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
