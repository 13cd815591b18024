"""Reading a configuration along the shape of its settings, value by value."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from components.validation.distance import edit_distance
from components.validation.draft import Draft
from components.validation.leaf import Group, Leaf, MisfitError
from components.validation.problem import HIDDEN, Problem, missing, shown
from components.validation.shape import Many, Shape, Table, key_of, shape_of

NAMESPACE = "causeway:"
_MISSPELT = 2  # mistakes of typing in a name that still is meant to be ours
SHARED = ("aws:region",)  # keys of a provider that the settings need too


def draft_of(
    settings: type[Group], config: Mapping[str, object], secret: Collection[str] = frozenset()
) -> Draft:
    """Read a stack's `config:`. Keys without a namespace are the program's own, as for Pulumi.

    `secret`: those of its keys whose values are not to be shown.
    """
    draft = Draft(secret=frozenset({*secret, *(key.removeprefix(NAMESPACE) for key in secret)}))
    own = _own_keys(draft, config if isinstance(config, Mapping) else {})
    draft.data = _group(draft, settings, own, "", silent=False)
    return draft


def _own_keys(draft: Draft, config: Mapping[Any, object]) -> dict[str, object]:
    own: dict[str, object] = {}
    for key, value in _named(draft, config, "").items():
        bare = key.removeprefix(NAMESPACE)
        if bare != key and bare in SHARED:
            rule = "is not read by the provider, whose key it is: that has no causeway: before it"
            way_out = f"keep only {bare}" if bare in config else f"write {bare}"
            draft.problems.append(_problem(draft, key, value, rule, way_out))
            if bare in config:
                continue  # that one counts
        elif bare == key and ":" in bare and bare not in SHARED:
            draft.problems.extend(_misspelt_namespace(draft, key, value))
            continue
        if bare in own:
            way_out = f"keep only {NAMESPACE}{bare}"
            draft.problems.append(
                _problem(draft, bare, value, "is given twice, with and without causeway:", way_out)
            )
        own[bare] = value
    return own


def _misspelt_namespace(draft: Draft, key: str, value: object) -> Iterable[Problem]:
    """Other programs and providers have keys in the same file; hardly one whose name is so near to ours."""
    namespace, _, name = key.partition(":")
    own = NAMESPACE.removesuffix(":")
    if edit_distance(namespace.lower(), own, most=_MISSPELT) <= _MISSPELT:
        rule = f"is in the namespace {namespace}, which nothing reads: this program's is {own}"
        yield _problem(draft, key, value, rule, f"did you mean {NAMESPACE}{name}?")


def _read(draft: Draft, shape: Shape, value: object, key: str, *, silent: bool) -> object:
    """Read what stands at a key; return it without empty keys. `silent`: only learn which keys there are."""
    if isinstance(shape, Leaf):
        return _leaf(draft, shape, value, key, silent=silent)
    if isinstance(shape, Many):
        return _many(draft, shape, value, key, silent=silent)
    if isinstance(shape, Table):
        return _table(draft, shape, value, key, silent=silent)
    if not isinstance(value, Mapping):
        if not silent:
            keys = ", ".join(key_of(name, each) for name, each in shape.model_fields.items())
            draft.problems.append(
                _problem(draft, key, value, "must be a group of keys", f"its keys are: {keys}")
            )
        return _group(draft, shape, {}, f"{key}.", silent=True)
    return _group(draft, shape, value, f"{key}.", silent=silent)


def _leaf(draft: Draft, leaf: Leaf, value: object, key: str, *, silent: bool) -> object:
    draft.values[key] = None
    if not silent:
        try:
            draft.values[key] = leaf.parse(value)
        except MisfitError as misfit:
            way_out = _look_at(key) if draft.hides(key) else misfit.way_out  # which may have the value in it
            draft.problems.append(_problem(draft, key, value, misfit.rule, way_out))
    return value


def _many(draft: Draft, shape: Many, value: object, key: str, *, silent: bool) -> object:
    elements = draft.elements.setdefault(key, [])
    if not isinstance(value, list | tuple):
        if not silent:
            hidden = draft.hides(key) or isinstance(value, Mapping)
            way_out = "write [one, two]" if hidden else f"did you mean [{shown(value, key)}]?"
            draft.problems.append(_problem(draft, key, value, "must be a list", way_out))
            draft.withdraw(key)
        return []
    read = []
    for number, element in enumerate(value):
        element_key = f"{key}[{number}]"
        _place(draft, element_key, written=True)
        elements.append(element_key)
        read.append(_read(draft, shape.of, element, element_key, silent=False))
    return read


def _table(draft: Draft, shape: Table, value: object, key: str, *, silent: bool) -> object:
    elements = draft.elements.setdefault(key, [])
    if not isinstance(value, Mapping):
        if not silent:
            draft.problems.append(
                _problem(draft, key, value, "must be a group of keys", "write lines of key: value")
            )
        return {}
    read = {}
    for given, element in _named(draft, value, f"{key}[", "]").items():
        element_key = f"{key}[{given}]"
        _place(draft, element_key, written=True)
        try:
            shape.key.parse(given)
        except MisfitError as misfit:
            draft.problems.append(_problem(draft, element_key, element, misfit.rule, misfit.way_out))
        elements.append(element_key)
        read[given] = _read(draft, shape.of, element, element_key, silent=False)
    return read


def _group(
    draft: Draft,
    group: type[Group],
    value: Mapping[Any, object],
    prefix: str,
    *,
    silent: bool,
) -> dict[str, object]:
    given = _named(draft, value, prefix)
    fields = {key_of(name, each): each for name, each in group.model_fields.items()}
    read: dict[str, object] = {}
    for name, described in fields.items():
        key = f"{prefix}{name}"
        present = given.get(name) is not None
        _place(draft, key, written=present and not silent)
        if not silent:
            draft.offered.add(key)
        if present:
            read[name] = _read(draft, shape_of(described), given[name], key, silent=silent)
            continue
        _read(draft, shape_of(described), None, key, silent=True)
        if described.is_required() and not silent:
            draft.problems.append(_missing(key, name, described))
        elif key in draft.values:
            draft.values[key] = described.default
    if not silent:
        draft.problems.extend(_unknown(draft, prefix, given, fields))
    return read


def _named(draft: Draft, group: Mapping[Any, object], before: str, after: str = "") -> dict[str, object]:
    """What stands under keys that are text. Others are told: as text, `1` and `"1"` would be one key."""
    for name, value in group.items():
        if not isinstance(name, str):
            text = shown(name).strip('"')
            rule = "the key is not text: without quotes YAML makes a number, a date or true and false of it"
            way_out = f'write the key in quotes: "{text}"'
            draft.problems.append(_problem(draft, f"{before}{text}{after}", value, rule, way_out))
    return {name: value for name, value in group.items() if isinstance(name, str)}


def _missing(key: str, name: str, described: FieldInfo) -> Problem:
    shape = shape_of(described)
    if described.examples:
        way_out = f"add it, such as {name}: {_as_yaml(described.examples[0])}"
    elif isinstance(shape, type):
        way_out = f"add it; its keys are: {', '.join(shape.model_fields)}"
    else:
        way_out = "add it"
    return missing(key, f"is required. {described.description}", way_out)


def _as_yaml(example: object) -> str:
    if isinstance(example, list):
        return f"[{', '.join(map(_as_yaml, example))}]"
    return f'"{example}"' if isinstance(example, str) and example.isdigit() else str(example)


def _unknown(
    draft: Draft, prefix: str, given: Mapping[str, object], fields: Iterable[str]
) -> Iterable[Problem]:
    known = list(fields)
    where = prefix.rstrip(".") or "the configuration"
    for name in given:
        if name in known:
            continue
        close = difflib.get_close_matches(name[:100], known, n=1)
        way_out = (
            f"did you mean {close[0]}?" if close else f"leave it out; known keys are: {', '.join(known)}"
        )
        key = f"{prefix}{name}" or '""'
        yield _problem(draft, key, given[name], f"is not a key of {where}", way_out)


def _look_at(key: str) -> str:
    """The way out where the wrong value is a secret."""
    return f"look at it: pulumi config get --path '{'' if key in SHARED else NAMESPACE}{key}'"


def _place(draft: Draft, key: str, *, written: bool) -> None:
    draft.order.setdefault(key, len(draft.order))
    draft.written[key] = written


def _problem(draft: Draft, key: str, value: object, rule: str, way_out: str) -> Problem:
    draft.order.setdefault(key, len(draft.order))
    return Problem(
        key=key, value=HIDDEN if draft.hides(key) else shown(value, key), rule=rule, way_out=way_out
    )
