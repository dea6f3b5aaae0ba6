"""Reading authored YAML safely, and saying precisely what is wrong with it.

Two steps that every authored file goes through: `read_yaml` (bytes to plain data, with limits against
bombs) and `validated` (plain data to a frozen pydantic model, with each complaint naming file, field,
value, rule and remedy).
"""

from __future__ import annotations

import math
import re
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from accelsim.errors import InputError, closest

__all__ = [
    "Authored", "Constant", "Count", "NonNegative", "Positive", "Share",
    "bounded_bytes", "bundled_folder", "number_complaint", "parse_yaml", "read_yaml", "text_of", "validated",
]  # fmt: skip

MAX_FILE_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_NODES = 100_000

_MAX_MESSAGE_CHARACTERS = 300
_MAX_BITS = 1000
_SUFFIXES = ("value", "low", "high")


def bundled_folder(kind: Literal["architectures", "sweeps", "validation", "workloads"]) -> Path:
    """The folder of bundled files: inside the installed package, else at the root of the source tree.

    Raises:
        InputError: neither exists, so the installation is not complete.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "bundled" / kind, package.parent / kind):
        if folder.is_dir():
            return folder
    raise InputError(f"has no folder of bundled {kind}", file=package, remedy="install accelsim again")


class Authored(BaseModel):
    """Base of everything that people write in YAML: frozen, and unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Constant(Authored):
    """A number with an owner.

    Either published, ``{value, source}``, or assumed, ``{value, low, high, source: assumed, why}``. The
    range of an assumed constant is what the intervals of a result span.
    """

    # Strict, because `value: yes` and `value: "3"` are slips and not numbers.
    model_config = ConfigDict(strict=True)

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
        if isinstance(data, bool) or not isinstance(data, int | float) or not _has_a_size(data):
            raise PydanticCustomError("not_a_number", "must be a number")
        published = f"{{value: {data!r}, source: <citation>}}"
        assumed = f"{{value: {data!r}, low: , high: , source: assumed, why: }}"
        raise ValueError(f"is a number without an owner|write {published}, or {assumed}")

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
        return _is_assumed(self.source)

    def replaced(self, value: float, source: str = "override") -> Constant:
        """The same constant with a value that the user has set: no longer assumed."""
        return Constant(value=value, source=source)


@lru_cache(maxsize=4096)
def _is_assumed(source: str) -> bool:
    """Whether a source says that there is none."""
    return re.match(r"\s*assumed\b", source, re.IGNORECASE) is not None


def _has_a_size(number: float) -> bool:
    """Whether a float can hold the number: an integer may be too long to be one, or even to be printed."""
    return number.bit_length() < _MAX_BITS if isinstance(number, int) else math.isfinite(number)


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
    """The scalars of YAML 1.2 (``1e9`` is a number, ``010`` and ``no`` are not 8 and false) and no tricks.

    Aliases, tags, duplicate keys and keys that are not text are refused; depth and size are bounded.
    """

    depth = 0
    nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        tag = getattr(self.peek_event(), "tag", None)  # type: ignore[no-untyped-call]
        if tag is not None:
            raise yaml.YAMLError(f"tags ({tag}) are not allowed")
        self.depth += 1
        self.nodes += 1
        if self.depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise yaml.YAMLError(f"nests deeper than {MAX_DEPTH} levels or holds more than {MAX_NODES} values")
        node = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode):
            node.value.encode()  # escapes can name half a surrogate pair, which no output accepts
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise yaml.YAMLError(f"key {key!r} at line {line} is not text: quote it")
            if key in seen:
                raise yaml.YAMLError(f"key {key!r} stands twice, again at line {line}")
            seen.add(key)
        return super().construct_mapping(node, deep)


# Every alternative consumes each character once: no pattern here backtracks over a long run of digits.
_SCALARS = {
    "bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    "null": (r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    "int": (r"^(?:[-+]?(?:0|[1-9][\d_]*)|0x[\da-fA-F]+)$", "-+0123456789"),
    "float": (
        r"^(?:[-+]?(?:\d[\d_]*(?:\.\d*)?[eE][-+]?\d+|\d[\d_]*\.\d*|\.\d+(?:[eE][-+]?\d+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN))$",
        "-+0123456789.",
    ),
}
_Loader.yaml_implicit_resolvers = {}
for _tag, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern, re.ASCII), list(_first))


@lru_cache(maxsize=64)
def _loaded(text: str) -> Any:
    """What a text holds, remembered: the same few descriptions are read again and again."""
    return yaml.load(text, _Loader)


def parse_yaml(text: str, *, file: object = None) -> Any:
    """The plain data that ``text`` holds.

    Raises:
        InputError: not YAML, or it uses aliases, tags or duplicate keys, or nests too deeply.
    """
    try:
        return deepcopy(_loaded(text))
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        message = " ".join(str(error).split())
        if len(message) > _MAX_MESSAGE_CHARACTERS:
            message = f"{message[: _MAX_MESSAGE_CHARACTERS - 3]}..."
        raise InputError(f"is not valid YAML: {message}", file=file) from None


def bounded_bytes(path: Path, most: int) -> bytes:
    """The content of a file of at most ``most`` bytes.

    Raises:
        InputError: the file is missing, unreadable or larger.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(most + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({getattr(error, 'strerror', None) or error})", file=path) from None
    if len(content) > most:
        raise InputError(f"is larger than {most} bytes", file=path)
    return content


def text_of(path: Path) -> str:
    """The text of a file of at most 1 MiB.

    Raises:
        InputError: as `bounded_bytes`, or the file is not UTF-8.
    """
    try:
        return bounded_bytes(path, MAX_FILE_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 text (byte {error.start})", file=path) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping from ``path``.

    Raises:
        InputError: the file is missing, unreadable, larger than 1 MiB, not UTF-8, not YAML, uses aliases, tags or
            duplicate keys, nests too deeply, or is not a mapping.
    """
    data = parse_yaml(text_of(path), file=path)
    if not isinstance(data, dict):
        remedy = "see `accelsim schema architecture` or `accelsim schema workload`"
        raise InputError("must be a mapping of fields", file=path, remedy=remedy)
    return data


Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], data: Any, *, file: object) -> Model:
    """Validate ``data`` as ``model``; the first complaint becomes an `InputError` with field, value and remedy."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _as_input_error(error, model, data, file) from None


_NUMBER_ERRORS = {
    "finite_number", "float_type", "float_parsing", "int_parsing", "int_type", "int_parsing_size", "not_a_number",
}  # fmt: skip
_WORDING = re.compile(r"^(?:Input|String|List|Tuple|Dictionary|Set|Value|Data) should ")


def _as_input_error(error: ValidationError, model: type[BaseModel], data: Any, file: object) -> InputError:
    errors = error.errors(include_url=False)
    first = errors[0]
    location = [str(part) for part in first["loc"]]
    written = _written(location, data)
    value = first["input"] if isinstance(first["input"], str | int | float) else None
    if isinstance(value, int) and not _has_a_size(value):
        value = None
    rule, remedy = _complaint(first, model, location, written)
    if first["type"] in ("extra_forbidden", "union_tag_not_found", "union_tag_invalid"):
        value = first.get("ctx", {}).get("tag")
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return InputError(rule + more, file=file, field=".".join(written), value=value, remedy=remedy or None)


def _complaint(
    error: ErrorDetails, model: type[BaseModel], location: list[str], written: list[str]
) -> tuple[str, str | None]:
    """Rule and remedy in our words."""
    kind, context = error["type"], error.get("ctx", {})
    rule, _, remedy = str(error["msg"]).removeprefix("Value error, ").partition("|")
    if kind == "extra_forbidden":
        siblings = _fields_beside(model, location)
        near = closest(location[-1], siblings)
        return "is not a known field", f"did you mean {near!r}?" if near else f"known fields: {', '.join(siblings)}"
    if kind == "missing":
        return "is missing", None
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        field = str(context.get("discriminator", "'kind'")).strip("'")
        tags = _tags(model, location, field)
        rule = f"has no `{field}`" if kind == "union_tag_not_found" else f"is not a known `{field}`"
        return rule, f"write one of {', '.join(tags)}" if tags else None
    if kind in _NUMBER_ERRORS:
        return number_complaint(error["input"], ".".join(written))
    if kind in ("bool_type", "bool_parsing"):
        return "must be true or false", None
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "must be a mapping of fields", None
    rule = _WORDING.sub("must ", rule)
    return (rule if rule.split()[0].islower() else f"is refused: {rule[:1].lower()}{rule[1:]}"), remedy


_QUANTITY = re.compile(r"^\s*([-+]?[\d_.]+(?:[eE][-+]?\d+)?)\s*([a-zA-Zµ][\w/µ]*)\s*$")
_PREFIXES = {
    "": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip
_UNITS = {
    "bytes": "byte", "byte": "byte", "bits": "bit", "bit": "bit", "FLOPS": "op", "OPS": "op", "OP": "op",
    "Hz": "hertz", "hz": "hertz", "m2": "area", "B": "byte", "b": "bit", "J": "joule", "j": "joule",
    "W": "watt", "w": "watt", "V": "volt", "v": "volt", "A": "ampere", "F": "farad", "S": "siemens", "s": "second",
}  # fmt: skip


def number_complaint(data: object, field: str) -> tuple[str, str | None]:
    """Rule and remedy for ``data`` where ``field``, whose name ends in its unit, wants a number."""
    if isinstance(data, float) and not math.isfinite(data):
        return "must be a finite number", None
    if isinstance(data, int) and not isinstance(data, bool):
        return "is too large a number", None
    match = _QUANTITY.match(data) if isinstance(data, str) else None
    if match is None:
        return "must be a number", None
    rule = "must be a plain number: the unit is in the field's name"
    name = next((part for part in reversed(field.split(".")) if part not in _SUFFIXES), "")
    written, wanted = _unit(match[2].split("/")[0]), _unit(name.split("_per_")[0].rpartition("_")[2])
    try:
        number = float(match[1])
    except ValueError:
        return rule, None
    if written is None or (wanted is not None and wanted[0] != written[0]):
        return rule, "write the number alone"
    return rule, f"write {_shortest(number * written[1] / (wanted[1] if wanted else 1.0))}"


def _unit(text: str) -> tuple[str, float] | None:
    """What ``text`` measures and its size in the plain unit of that: GHz is ("hertz", 1e9)."""
    for ending, quantity in _UNITS.items():
        scale = _PREFIXES.get(text[: -len(ending)]) if text.endswith(ending) else None
        if scale is not None:
            return quantity, scale**2 if quantity == "area" else scale
    return None


def _shortest(number: float) -> str:
    return f"{number:g}" if float(f"{number:g}") == number else f"{number:.15g}"


def _written(location: list[str], data: Any) -> list[str]:
    """The part of a pydantic location that stands in the document (union tags do not)."""
    path: list[str] = []
    here = data
    for position, part in enumerate(location):
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list | tuple) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        elif position < len(location) - 1:
            continue
        path.append(part)
    return path


def _fields_beside(model: type[BaseModel], location: list[str]) -> list[str]:
    """Names of the fields that the models know where an unknown field was written."""
    here = _reached(model, location[:-1])
    return sorted({name for each in here if _is_model(each) for name in each.model_fields})


def _tags(model: type[BaseModel], location: list[str], field: str) -> list[str]:
    """What ``field`` may say to choose among the models of the union at ``location``."""
    fields = [each.model_fields.get(field) for each in _reached(model, location) if _is_model(each)]
    return [str(tag) for known in fields if known is not None for tag in get_args(known.annotation)]


def _reached(model: type[BaseModel], location: list[str]) -> list[Any]:
    """The annotations at ``location``."""
    here: list[Any] = [model]
    for part in location:
        here = _step(here, part)
    return here


def _step(annotations: list[Any], part: str) -> list[Any]:
    """The annotations reached through a field, key or index named ``part``, or those of a union that bear that tag."""
    reached: list[Any] = []
    for annotation in annotations:
        if _is_model(annotation):
            if part in annotation.model_fields:
                reached += _members(annotation.model_fields[part].annotation)
        elif get_args(annotation):
            reached += _members(get_args(annotation)[-1 if get_origin(annotation) is dict else 0])
    if reached:
        return reached
    tagged = [each for each in annotations if _is_model(each) and _bears_tag(each, part)]
    return tagged or annotations


def _members(annotation: Any) -> list[Any]:
    """The alternatives of a union; any other annotation is its only one."""
    if _is_model(annotation) or get_origin(annotation) in (dict, list, tuple):
        return [annotation]
    return [member for argument in get_args(annotation) for member in _members(argument)]


def _bears_tag(model: type[BaseModel], tag: str) -> bool:
    return any(tag in get_args(field.annotation) for field in model.model_fields.values())


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
