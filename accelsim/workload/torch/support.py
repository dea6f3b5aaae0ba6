"""Which calls of a program accelsim does not model: all of them, told at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from accelsim.errors import UnknownNameError, UnsupportedError
from accelsim.workload.torch.names import functional_key
from accelsim.workload.torch.plain import Plain, PlainCall
from accelsim.workload.torch.program import Body, Program
from accelsim.workload.torch.site import CONVERTERS

__all__ = ["Support"]

MAX_LISTED = 100


class Support:
    """What of one program can be modelled.

    Args:
        program: the program.
        allowed: operators that the user takes to cost nothing: ``foo``, ``ns::foo`` or ``ns::foo.overload``.

    Raises:
        UnknownNameError: ``allowed`` names an operator that the program lacks.
    """

    def __init__(self, program: Program, allowed: Collection[str]) -> None:
        self.program, self.allowed = program, frozenset(allowed)
        if self.allowed:
            present = set(_operators(program.body))
            for name in sorted(self.allowed - present):
                what = "operator of this program"
                raise UnknownNameError(what, name, present, file=program.source.file, field="allow_zero_cost")

    def zero_cost(self, call: PlainCall) -> bool:
        """Whether the user allowed a call to cost nothing."""
        return not self.allowed.isdisjoint(_names(call.label))

    def check(self, plain: Plain) -> None:
        """Refuse the program if calls that it needs are not modelled."""
        unknown = [call for call in plain.calls if call.key not in CONVERTERS and not self.zero_cost(call)]
        if unknown:
            raise self._error(unknown)

    def _error(self, unknown: list[PlainCall]) -> UnsupportedError:
        names = sorted({call.label.rpartition(".")[0] or call.label for call in unknown})
        listed = "; ".join(
            f"{call.name} ({call.label}) in {call.module or 'the outermost module'}" for call in unknown[:MAX_LISTED]
        )
        more = f"; and {len(unknown) - MAX_LISTED} more" if len(unknown) > MAX_LISTED else ""
        count = f"{len(unknown)} nodes are" if len(unknown) != 1 else "1 node is"
        flags = " ".join(f"--allow-zero-cost {each}" for each in names)
        advice = [f"where they may count as nothing, pass allow_zero_cost={names!r} ({flags})"]
        if any(name.startswith("higher_order::") for name in names):
            advice.insert(0, "export the module with data-dependent branches taken and loops unrolled")
        if any("quantized" in name for name in names):
            advice.insert(0, "give the module before quantisation and choose formats with precision=")
        return self.program.source.unsupported(f"{count} not modelled: {listed}{more}", remedy="; ".join(advice))


def _names(label: str) -> tuple[str, ...]:
    """How an operator may be called: aten::relu_.default is also aten::relu_, relu_ and relu."""
    target = label.rpartition(".")[0] if "::" in label and "." in label.rpartition("::")[2] else label
    return label, target, target.rpartition("::")[2], functional_key(target)[0]


def _operators(body: Body) -> Iterator[str]:
    for call in body.calls:
        yield from _names(f"{call.target}.{call.overload}" if call.overload else call.target)
        for argument in call.arguments.values():
            if isinstance(argument, Body):
                yield from _operators(argument)
