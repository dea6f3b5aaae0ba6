"""The rewrites by name, and applying some of them in order."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from accelsim.documents import parse_yaml
from accelsim.errors import InputError, UnknownNameError
from accelsim.workload.bundled.parameters import ParameterValue, checked_parameter, generated, parameter_rules
from accelsim.workload.graph import Graph
from accelsim.workload.rewrite.attention import fuse_attention
from accelsim.workload.rewrite.batch import set_batch
from accelsim.workload.rewrite.fuse import fold_norms, fuse
from accelsim.workload.rewrite.layers import keep_layers
from accelsim.workload.rewrite.prune import prune, prune_channels
from accelsim.workload.rewrite.report import Rewriter, reported
from accelsim.workload.rewrite.shorten import shorten_skips
from accelsim.workload.rewrite.skips import remove_skips

__all__ = ["REWRITES", "list_rewrites", "parse_rewrite", "reapplied", "rewrite"]

REWRITES: Mapping[str, Callable[..., Rewriter]] = {
    "batch": set_batch,
    "fold-norms": fold_norms,
    "fuse": fuse,
    "fuse-attention": fuse_attention,
    "layers": keep_layers,
    "prune": prune,
    "prune-channels": prune_channels,
    "remove-skips": remove_skips,
    "shorten-skips": shorten_skips,
}
"""Name -> what makes the rewrite of its parameters, which are keyword arguments with checked types and bounds."""

_MAY_FIND_NOTHING = frozenset({"batch", "fold-norms", "fuse", "fuse-attention", "layers"})
"""Rewrites that keep what is computed: where they find nothing to do, all is as asked for."""


def list_rewrites() -> list[tuple[str, str]]:
    """(name, its parameters with their defaults and what it does) of every rewrite."""
    rows = []
    for name, factory in REWRITES.items():
        sentence = (inspect.getdoc(factory) or "").partition("\n\n")[0].replace("\n", " ")
        rules = parameter_rules(factory).items()
        settings = [key if rule.default in (None, "") else f"{key}={rule.default}" for key, rule in rules]
        rows.append((name, f"[{', '.join(settings)}] {sentence}" if settings else sentence))
    return rows


def rewrite(graph: Graph, rewrites: str | Iterable[str]) -> Graph:
    """``graph`` after each of ``rewrites``: ``name`` or ``name:key=value,key=value``, in order.

    What each one changed is added to ``graph.rewrites``.

    Raises:
        UnknownNameError: no such rewrite, parameter or op.
        InputError: a parameter out of its bounds, or a rewrite that finds nothing to change in this graph.
    """
    for text in [rewrites] if isinstance(rewrites, str) else rewrites:
        name, given = parse_rewrite(text)
        graph = _applied(graph, name, given)
    return graph


def reapplied(graph: Graph, like: Graph) -> Graph:
    """``graph`` after the rewrites that ``like`` has seen."""
    for report in like.rewrites:
        graph = _applied(graph, report.rewrite, report.parameters)
    return graph


def parse_rewrite(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``name:key=value,key=value``; a value that reads as a number is one.

    Raises:
        InputError: a part that is not ``key=value``, or a key that stands twice.
    """
    name, colon, rest = (part.strip() for part in str(text).partition(":"))
    given: dict[str, Any] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            remedy = "write name or name:key=value,key=value"
            raise InputError("must be key=value", file=f"rewrite {name}", value=part, remedy=remedy)
        if key in given:
            raise InputError("stands twice", file=f"rewrite {name}", field=key)
        plain = re.fullmatch(r"[-+.\deE]+|true|false", value)
        given[key] = parse_yaml(value, file=f"rewrite {name}: {key}") if plain else value
    return name, given


def _applied(graph: Graph, name: str, given: Mapping[str, Any]) -> Graph:
    if name not in REWRITES:
        raise UnknownNameError("rewrite", name, REWRITES, file="rewrite")
    factory, where = REWRITES[name], f"rewrite {name}"
    rules = parameter_rules(factory)
    values: dict[str, ParameterValue] = {}
    for key, value in given.items():
        if key not in rules:
            raise UnknownNameError("parameter", key, rules, file=where)
        # A name may look like a number ("12"), as op names do.
        stated = str(value) if rules[key].type is str and not isinstance(value, bool) else value
        values[key] = checked_parameter(stated, rules[key], file=where, field=key)
    for key, rule in rules.items():
        if key not in values and rule.default is None:
            raise InputError("is missing", file=where, field=key, remedy=f"write {name}:{key}=...")
        values.setdefault(key, rule.default)  # type: ignore[arg-type]
    changes = generated(factory, values)(graph)
    if not changes.made and name not in _MAY_FIND_NOTHING:
        reason = f": {changes.kept[0].op} {changes.kept[0].what}" if changes.kept else ""
        more = f" (and {len(changes.kept) - 1} more)" if len(changes.kept) > 1 else ""
        raise InputError(f"finds nothing to change in {graph.name}{reason}{more}", file=where,
                         remedy="leave it out")  # fmt: skip
    report = reported(name, values, graph, changes)
    return replace(changes.graph, rewrites=(*graph.rewrites, report))
