"""Settings as plain dataclasses: from and to JSON, and single fields from text.

Every value is checked against the annotation of its field, whether it comes from a
file or from the command line.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from dp_bench.errors import BadInput
from dp_bench.util.json_text import parsed
from dp_bench.util.text import shown
from dp_bench.util.types import JsonObject

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

TOO_LARGE = 1 << 63  # whole numbers stay below, as arrays and tables hold them

# How an error names a type.
TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    dict: "an object {...}",
    list: "a list",
}


UPDATE = "update dp-bench if a newer version wrote this"  # where a file is not known


def to_json(settings: DataclassInstance) -> JsonObject:
    """Converts a dataclass, with the dataclasses nested in it, to a JSON object."""
    return json.loads(json.dumps(dataclasses.asdict(settings)))


def from_json(cls: type[T], data: object, where: str = "settings") -> T:
    """Builds a dataclass from a JSON object, as `to_json` gives it.

    Args:
        cls: The dataclass.
        data: A mapping from field names to values; fields with a default may be absent.
        where: Where the data come from, for errors: a file and a line, say.

    Raises:
        BadInput: When `data` is no object, a field is unknown or missing, or a value
            has the wrong type or breaks a rule of the dataclass.
    """
    return _from_json(cls, data, where, "")


def _from_json(cls: type[T], data: object, where: str, prefix: str) -> T:
    """As `from_json`; `prefix` leads to nested fields, `"horizons."` say."""
    if not isinstance(data, Mapping):
        raise BadInput(
            f"{where}: {prefix[:-1] or 'the data'} must be an object {{...}}, "
            f"got {shown(data)}"
        )
    hints, required = _schema(cls)
    for name in data:
        if name not in hints:
            raise BadInput(
                f"{where}: unknown field {shown(prefix + str(name))}"
                f"{_suggestion(name, hints)}; the fields are {', '.join(hints)}; "
                f"{UPDATE}"
            )
    try:
        values = {
            name: _checked(value, hints[name], f"{prefix}{name}")
            for name, value in data.items()
        }
        for name in required:
            if name not in data:
                raise BadInput(f"field {prefix + name!r} is missing")
        return cls(**values)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None


def check_at_least(settings: DataclassInstance, least: Mapping[str, float]) -> None:
    """Refuses numbers that are too small.

    Args:
        settings: A dataclass.
        least: The smallest value of each field that has one, by name.

    Raises:
        BadInput: With the name of the field.
    """
    for name, low in least.items():
        value = getattr(settings, name)
        if not value >= low:  # NaN is refused, too
            raise BadInput(f"{name} must be at least {low:g}, got {shown(value)}")


@functools.cache
def _schema(cls: type[DataclassInstance]) -> tuple[dict[str, object], list[str]]:
    """The fields of a dataclass with their annotations, and those without a default."""
    hints = typing.get_type_hints(cls)
    fields = [field for field in dataclasses.fields(cls) if field.init]
    required = [
        field.name
        for field in fields
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    return {field.name: hints[field.name] for field in fields}, required


def override(settings: T, name: str, text: str) -> T:
    """Sets one field, such as `"policy.horizons.action"`, to the value in `text`.

    Raises:
        BadInput: When the name or the value does not fit; the error gives the rule and
            the choices.
    """
    return override_all(settings, {name: text})


def override_all(settings: T, changes: Mapping[str, str]) -> T:
    """Sets several fields at once, so that only the result has to be consistent.

    Args:
        settings: A dataclass; dots lead to the fields of nested ones.
        changes: Names of fields and their new values as text.

    Raises:
        BadInput: When a name or a value does not fit.
    """
    return _override(settings, changes, "")


def _override(settings: T, changes: Mapping[str, str], prefix: str) -> T:
    hints, _ = _schema(type(settings))
    nested: dict[str, dict[str, str]] = {}
    new: dict[str, object] = {}
    for name, text in changes.items():
        first, _, rest = name.partition(".")
        field, where = first.replace("-", "_"), prefix + name
        if field not in hints:
            raise BadInput(
                f"{type(settings).__name__} has no {field!r}"
                f"{_suggestion(field, hints)}; it has {', '.join(sorted(hints))}"
            )
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
            new[field] = _checked(_parse(text), hints[field], where, text)
    for field, inner_changes in nested.items():
        inside = getattr(settings, field)
        new[field] = _override(inside, inner_changes, f"{prefix}{field}.")
    return dataclasses.replace(settings, **new)


def names(settings: DataclassInstance, prefix: str = "") -> dict[str, object]:
    """Maps the dotted name of every field, nested ones included, to its value."""
    values: dict[str, object] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            values |= names(value, f"{prefix}{field.name}.")
        else:
            values[prefix + field.name] = value
    return values


def short_hash(data: object) -> str:
    """Hashes JSON-like data to eight hex digits."""
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _parse(text: str) -> object:
    """Parses a value: `"1e-4"` is 0.0001, `"64,128"` and `"[64, 128]"` are lists.

    A word that is neither a number nor JSON stays text. "none" is also an empty list.
    """
    constants = {"true": True, "false": False, "none": None}
    if text.lower() in constants:
        return constants[text.lower()]
    try:
        return parsed(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        pass
    if "," in text:
        return [_parse(part.strip()) for part in text.strip("()[]").split(",") if part]
    return text


# Returns Any: what comes back has the type that `hint` describes, which no annotation
# can express.
def _checked(value: object, hint: object, where: str, text: str | None = None) -> Any:
    """Checks `value` against the annotation `hint`, and converts lists to tuples.

    Args:
        value: From JSON, or parsed from `text`.
        hint: Annotation of the field.
        where: Name of the field, for errors.
        text: What the user wrote; None for JSON.
    """
    seen = value if text is None else text
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is typing.Literal:
        if value not in arguments:
            choices = ", ".join(map(str, arguments))
            raise BadInput(f"{where} must be one of {choices}; got {shown(seen)}")
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        inner = [a for a in arguments if a is not type(None)]
        return _checked(value, inner[0], where, text)
    if origin is tuple:
        return _checked_tuple(value, arguments, where, text)
    if origin is dict and isinstance(value, dict):
        return {k: _checked(v, arguments[1], f"{where}.{k}") for k, v in value.items()}
    cls = typing.cast(type, origin or hint)
    if dataclasses.is_dataclass(cls):
        return _from_json(cls, value, where, "")
    return _checked_scalar(value, cls, where, text)


def _checked_tuple(
    value: object, arguments: tuple[object, ...], where: str, text: str | None
) -> tuple[object, ...]:
    seen = value if text is None else text
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = [value]
    if text is not None and value is None and arguments[-1] is Ellipsis:
        value = []
    if not isinstance(value, (list, tuple)):
        raise BadInput(f"{where} must be a list of numbers, got {shown(seen)}")
    if arguments[-1] is Ellipsis:
        hints = (arguments[0],) * len(value)
    elif len(value) != len(arguments):
        raise BadInput(f"{where} takes {len(arguments)} values, got {shown(seen)}")
    else:
        hints = arguments
    pairs = zip(value, hints, strict=True)
    return tuple(_checked(member, hint, where, text) for member, hint in pairs)


def _checked_scalar(value: object, cls: type, where: str, text: str | None) -> object:
    seen = value if text is None else text
    if cls is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1 << 1023 else math.inf
    if cls is float and isinstance(value, float) and not math.isfinite(value):
        raise BadInput(f"{where} must be a finite number, got {shown(seen)}")
    if cls is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if cls is int and isinstance(value, int) and abs(value) >= TOO_LARGE:
        raise BadInput(f"{where} must be below {TOO_LARGE}, got {shown(seen)}")
    if cls is str and text is not None:
        return text
    if not isinstance(value, cls) or (isinstance(value, bool) and cls is not bool):
        kind = TYPE_NAMES.get(cls, cls.__name__)
        raise BadInput(f"{where} must be {kind}, got {shown(seen)}")
    return value


def _suggestion(name: str, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), list(choices), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
