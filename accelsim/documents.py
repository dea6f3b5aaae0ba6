"""Reading authored YAML safely, and saying precisely what is wrong with it.

Two steps that every authored file goes through: `read_yaml` (bytes to plain data, with limits against
bombs) and `validated` (plain data to a frozen pydantic model, with each complaint naming file, field,
value, rule and remedy).
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from accelsim.errors import InputError, closest

__all__ = ["Authored", "Constant", "Count", "NonNegative", "Positive", "Share", "read_yaml", "validated"]

MAX_FILE_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_NODES = 100_000

_QUANTITY = re.compile(r"^\s*([-+]?[\d_.]+(?:[eE][-+]?\d+)?)\s*([a-zA-Zµ][\w/µ]*)\s*$")
_PREFIXES = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9, "p": 1e-12}


class Authored(BaseModel):
    """Base of everything that people write in YAML: frozen, and unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Constant(Authored):
    """A number with an owner.

    Either published, ``{value, source}``, or assumed, ``{value, low, high, source: assumed, why}``. The
    range of an assumed constant is what the intervals of a result span.
    """

    value: float
    source: str = Field(min_length=1, description="a citation, or 'assumed'")
    low: float | None = None
    high: float | None = None
    why: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_an_owner(cls, data: Any) -> Any:
        if isinstance(data, Constant | dict):
            return data
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise ValueError(_not_a_number(data))
        raise ValueError(
            "is a number without an owner|"
            f"write {{value: {data!r}, source: <citation>}}, or {{value: {data!r}, low: , high: , source: assumed, why: }}"
        )

    @model_validator(mode="after")
    def _range_is_stated(self) -> Constant:
        if (self.low is None) != (self.high is None):
            raise ValueError("has only one end of a range|give both low and high")
        if self.assumed and (self.low is None or not self.why):
            raise ValueError("is assumed without a range and a reason|add low, high and why")
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise ValueError(f"has its value outside of its range [{self.low:g}, {self.high:g}]|widen the range")
        return self

    @property
    def assumed(self) -> bool:
        """Whether nothing is published for it."""
        return self.source.split(":")[0].strip().lower() == "assumed"

    def replaced(self, value: float, source: str = "override") -> Constant:
        """The same constant with a value that the user has set: no longer assumed."""
        return Constant(value=value, source=source)


def _positive(constant: Constant) -> Constant:
    if not all(end > 0 for end in _ends(constant)):
        raise ValueError("must be positive")
    return constant


def _non_negative(constant: Constant) -> Constant:
    if not all(end >= 0 for end in _ends(constant)):
        raise ValueError("must not be negative")
    return constant


def _whole(constant: Constant) -> Constant:
    if not all(end >= 1 and float(end).is_integer() for end in _ends(constant)):
        raise ValueError("must be a whole number of 1 or more")
    return constant


def _share(constant: Constant) -> Constant:
    if not all(0 < end <= 1 for end in _ends(constant)):
        raise ValueError("must be above 0 and at most 1")
    return constant


def _ends(constant: Constant) -> list[float]:
    return [end for end in (constant.value, constant.low, constant.high) if end is not None]


Positive = Annotated[Constant, AfterValidator(_positive)]
NonNegative = Annotated[Constant, AfterValidator(_non_negative)]
Count = Annotated[Constant, AfterValidator(_whole)]
Share = Annotated[Constant, AfterValidator(_share)]


class _Loader(yaml.SafeLoader):
    """YAML 1.2-like numbers (``1e9`` is a float), no aliases, no duplicate keys, bounded depth and size."""

    depth = 0
    nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        self.depth += 1
        self.nodes += 1
        if self.depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise yaml.YAMLError(f"nests deeper than {MAX_DEPTH} levels or holds more than {MAX_NODES} values")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if not isinstance(key, str):
                raise yaml.YAMLError(f"key {key!r} at line {node.start_mark.line + 1} is not text: quote it")
            if key in keys[:position]:
                raise yaml.YAMLError(f"key {key!r} stands twice at line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":float", ":timestamp", ":merge"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?\d*([eE][-+]?\d+)|\d[\d_]*\.\d*|\.\d+([eE][-+]?\d+)?|\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"),
    list("-+0123456789."),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping from ``path``.

    Raises:
        InputError: the file is missing, unreadable, larger than 1 MiB, not UTF-8, not YAML, uses aliases or
            duplicate keys, nests too deeply, or is not a mapping.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InputError(f"has {size} bytes; at most {MAX_FILE_BYTES} are read", file=path)
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path) from None
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 text (byte {error.start})", file=path) from None
    try:
        data = yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"is not valid YAML: {' '.join(str(error).split())}", file=path) from None
    if not isinstance(data, dict):
        raise InputError("must be a mapping of fields", file=path, remedy="see `accelsim schema architecture` or `workload`")
    return data


Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], data: Any, *, file: object) -> Model:
    """Validate ``data`` as ``model``; the first complaint becomes an `InputError` with field, value, rule and remedy."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _as_input_error(error, model, data, file) from None


def _as_input_error(error: ValidationError, model: type[BaseModel], data: Any, file: object) -> InputError:
    errors = error.errors(include_url=False)
    first = errors[0]
    location = [str(part) for part in first["loc"]]
    if first["type"] == "union_tag_not_found":
        return InputError("has no `kind`", file=file, field=".".join(location), remedy=str(first["msg"]))
    field = ".".join(_written(location, data))
    value = first["input"] if isinstance(first["input"], str | int | float | bool | None) else None
    message = str(first["msg"]).removeprefix("Value error, ")
    rule, _, remedy = message.partition("|")
    if first["type"] == "extra_forbidden":
        siblings = _fields_beside(model, location, data)
        near = closest(location[-1], siblings)
        remedy = f"did you mean {near!r}?".rstrip(".") if near else f"known fields: {', '.join(sorted(siblings))}"
        rule, value = "is not a known field", None
    elif first["type"] == "missing":
        rule, value = "is missing", None
    elif first["type"] in ("finite_number", "float_type", "float_parsing", "int_parsing", "int_type"):
        rule, _, remedy = _not_a_number(first["input"]).partition("|")
    elif rule and not rule.split()[0].islower():
        rule = f"is refused: {rule[0].lower()}{rule[1:]}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return InputError(rule + more, file=file, field=field, value=value, remedy=remedy or None)


def _not_a_number(data: object) -> str:
    if isinstance(data, float) and not math.isfinite(data):
        return "must be a finite number"
    match = _QUANTITY.match(data) if isinstance(data, str) else None
    if match:
        number, unit = match.groups()
        scale = _PREFIXES.get(unit[0], None) if len(unit) > 1 else None
        try:
            plain = f"{float(number) * scale:g}" if scale else number
        except ValueError:
            plain = number
        return f"must be a plain number: the unit is in the field's name|write {plain}"
    return "must be a number"


def _written(location: list[str], data: Any) -> list[str]:
    """The part of a pydantic location that stands in the document (union tags do not)."""
    path: list[str] = []
    here = data
    for part in location:
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdigit() and int(part) < len(here):
            here = here[int(part)]
        elif part is not location[-1]:
            continue
        path.append(part)
    return path


def _fields_beside(model: type[BaseModel], location: list[str], data: Any) -> list[str]:
    """Names of the fields that the model knows where an unknown field was written."""
    here: Any = model
    for part in location[:-1]:
        here = _step(here, part)
        if here is None:
            return []
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []


def _step(annotation: Any, part: str) -> Any:
    """The model class reached from ``annotation`` through a field, an index or a union tag named ``part``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(part)
        return None if field is None else _model_in(field.annotation)
    return annotation


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    found = [model for model in map(_model_in, getattr(annotation, "__args__", ())) if model is not None]
    return found[0] if found else None
