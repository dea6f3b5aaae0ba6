"""The torch front end: an exported program becomes a workload graph, with no weight read and no file trusted.

The stages, each in its own module:

    exported  a module or ExportedProgram to plain records (program.Program); the only part that needs torch
    archive   a ``.pt2`` file to the same records, from its JSON: nothing is unpickled or run
    bind      sizes for the dynamic dimensions
    walk      one walk in order: sizes, constants, writes in place -> the plain form (walk.Plain)
    support   every call that accelsim does not model, told at once
    convert   plain calls to typed ops, one small function an operator (the ``ops_*`` modules)

Programs are read as `torch.export` writes them, before any decomposition, so that recurrent layers and attention are
still what they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from typing import Any

from accelsim.workload.graph import Graph

__all__ = ["from_torch"]


def from_torch(
    module: Any,
    example_inputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    dynamic_shapes: Any = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int | None = None,
    name: str | None = None,
    allow_zero_cost: Collection[str] = (),
    branches: Mapping[str, str | float] | None = None,
    trips: Mapping[str, int] | None = None,
) -> Graph:
    """The workload graph of a torch module.

    What depends on neither an input nor a parameter (positions, masks made from sizes) is folded away, and so is what
    no output needs. Views move nothing; `reshape` and `contiguous` copy where torch copies. A stored tensor counts
    once, however many names it has; normalisation statistics count as parameters.

    Args:
        module: a `torch.nn.Module` in eval mode, whose weights may be on the meta device; a
            `torch.export.ExportedProgram`; or the path of a ``.pt2`` file by `torch.export.save`, for which torch need
            not be installed.
        example_inputs: the positional inputs of ``forward``, a tuple or one tensor; for a module only.
        kwargs: its keyword inputs; for a module only.
        dynamic_shapes: dimensions that stay open in the export, as `torch.export.export` takes them.
        shapes: sizes of inputs with open dimensions, by input name; what is not given is as in the example inputs.
        batch: samples that one execution computes; fixes the open dimension that leads the inputs. By default the
            size of that dimension, or 1 where none is open.
        name: of the graph; by default the module's class, or the file's stem.
        allow_zero_cost: operators (``foo``, ``ns::foo`` or ``ns::foo.overload``) to treat as views that cost nothing.
        branches: what a `torch.cond` that the data decides takes, by node name ("*": every other): ``"then"``,
            ``"else"`` or ``"dearest"``, the one with more MACs.
        trips: how often a `while_loop` runs, by node name ("*": every other).

    Raises:
        InputError: the file or program is not consistent, or ``shapes`` or ``batch`` do not fit it.
        UnknownNameError: ``shapes`` or ``allow_zero_cost`` name something that the program lacks.
        UnsupportedError: calls that accelsim does not model (all are listed), TorchScript, a module that torch
            cannot export, or torch is not installed.
    """
    # Imported here because torch takes seconds to import, and the rest is needed by no other front end.
    from accelsim.workload.torch.importer import import_program

    allowed = frozenset([allow_zero_cost] if isinstance(allow_zero_cost, str) else allow_zero_cost)
    export = {"example_inputs": example_inputs, "kwargs": kwargs, "dynamic_shapes": dynamic_shapes}
    source = str(module) if isinstance(module, PathLike) else module
    choices = dict(branches or {}), dict(trips or {})
    return import_program(source, export, dict(shapes or {}), batch, name, allowed, *choices)
