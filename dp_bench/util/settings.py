"""Settings as plain dataclasses: to and from JSON, and single fields from text.

Every value is checked against the annotation of its field, whether it comes from a
file or from the command line.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from dp_bench.errors import BadInput

T = TypeVar("T")


def to_json(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass, nested ones too, as JSON can hold them."""
    return json.loads(json.dumps(dataclasses.asdict(settings)))


def from_json(cls: type[T], data: Mapping[str, Any], where: str = "settings") -> T:
    """Builds a dataclass from what `to_json` gave.

    Raises:
        BadInput: For a field that the class does not have, or a value of a wrong type.
    """
    if not isinstance(data, Mapping):
        raise BadInput(f"{where} must be an object with fields, got {data!r}")
    hints = typing.get_type_hints(cls)
    fields = {f.name for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for name in data:
        if name not in fields:
            raise BadInput(_no_field(where, name, fields))
    values = {
        name: _checked(value, hints[name], f"{where}.{name}")
        for name, value in data.items()
    }
    try:
        return cls(**values)
    except TypeError as error:
        raise BadInput(f"{where}: {error}") from None


def override(settings: T, name: str, text: str) -> T:
    """Sets one field, `"policy.horizons.action"` say, to what `text` means.

    Raises:
        BadInput: Names the field, the value and the rule; and the choices, where the
            name or the value is not one of them.
    """
    return override_all(settings, {name: text})


def override_all(settings: T, changes: Mapping[str, str]) -> T:
    """Sets fields at once, so that only what comes out has to fit together.

    Args:
        settings: A dataclass; nested ones are reached by dots.
        changes: Names and what they shall be, as text.

    Raises:
        BadInput: As `override`.
    """
    return _override(settings, changes, "")


def _override(settings: Any, changes: Mapping[str, str], prefix: str) -> Any:
    fields = [f.name for f in dataclasses.fields(settings)]
    nested: dict[str, dict[str, str]] = {}
    new: dict[str, Any] = {}
    for name, text in changes.items():
        first, _, rest = name.partition(".")
        field, where = first.replace("-", "_"), prefix + name
        if field not in fields:
            raise BadInput(_no_field(type(settings).__name__, field, fields))
        value = getattr(settings, field)
        if rest:
            if not dataclasses.is_dataclass(value):
                raise BadInput(
                    f"{where}: {field} is a single value and has no {rest!r}"
                )
            nested.setdefault(field, {})[rest] = text
        elif dataclasses.is_dataclass(value):
            inner = ", ".join(f"{where}.{f.name}" for f in dataclasses.fields(value))
            raise BadInput(f"{where} has fields of its own; set one of {inner}")
        else:
            hint = typing.get_type_hints(type(settings))[field]
            new[field] = _checked(_parse(text), hint, where, text)
    for field, inside in nested.items():
        new[field] = _override(getattr(settings, field), inside, f"{prefix}{field}.")
    return dataclasses.replace(settings, **new)


def names(settings: Any, prefix: str = "") -> dict[str, Any]:
    """All fields with dotted names, and their values."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            found |= names(value, f"{prefix}{field.name}.")
        else:
            found[prefix + field.name] = value
    return found


def short_hash(data: Any) -> str:
    """Eight hex digits that tell JSON-like data apart."""
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _parse(text: str) -> Any:
    """`"1e-4"` -> 0.0001, `"64,128"` or `"[64, 128]"` -> list, other words as is."""
    spelled = {"true": True, "false": False, "none": None}
    if text.lower() in spelled:
        return spelled[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        pass
    if "," in text:
        return [_parse(part.strip()) for part in text.strip("()[]").split(",") if part]
    return text


def _checked(value: Any, hint: Any, where: str, said: str | None = None) -> Any:
    """`value` as the annotation `hint` wants it."""
    shown = value if said is None else said
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if value not in arguments:
            choices = ", ".join(map(str, arguments))
            raise BadInput(f"{where} must be one of {choices}; got {shown!r}")
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        inner = [a for a in arguments if a is not type(None)]
        return _checked(value, inner[0], where, said)
    if origin is tuple:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = [value]
        if not isinstance(value, (list, tuple)):
            raise BadInput(f"{where} must be a list of numbers, got {shown!r}")
        if arguments[-1] is Ellipsis:
            kinds = [arguments[0]] * len(value)
        elif len(value) != len(arguments):
            raise BadInput(f"{where} takes {len(arguments)} values, got {shown!r}")
        else:
            kinds = list(arguments)
        pairs = zip(value, kinds, strict=True)
        return tuple(_checked(v, kind, where, said) for v, kind in pairs)
    if origin is dict:
        hint = dict
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast(type, hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if hint is float and isinstance(value, float) and not math.isfinite(value):
        raise BadInput(f"{where} must be a finite number, got {shown!r}")
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if hint is str and said is not None:
        return said
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        kind = {int: "a whole number", float: "a number", bool: "true or false"}
        raise BadInput(f"{where} must be {kind.get(hint, hint)}, got {shown!r}")
    return value


def _no_field(where: str, name: str, fields: Any) -> str:
    near = difflib.get_close_matches(name, list(fields), n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{where} has no {name!r}{hint}; it has {', '.join(sorted(fields))}"
