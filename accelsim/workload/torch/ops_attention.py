"""Functional attention: two matrix products around a softmax."""

from __future__ import annotations

from math import prod

from accelsim.workload.torch.plain import Value
from accelsim.workload.torch.program import TensorType
from accelsim.workload.torch.site import Operand, Site, converts


@converts(
    "scaled_dot_product_attention",
    "_scaled_dot_product_attention_math",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
)
def _attention(site: Site) -> None:
    """softmax(scale query key^T + mask) value.

    query (..., heads, L, E), key (..., key heads, S, E), value (..., key heads, S, V). Fewer key heads than heads are
    shared: the queries of one key head are the rows of one product. The scale multiplies the queries, which are fewer
    than the scores. With ``is_causal`` scores are masked; all of them are computed, as torch counts them too.
    """
    query, key, value = site.tensor("query"), site.tensor("key"), site.tensor("value")
    if site.argument("dropout_p", 0.0) != 0:
        raise site.trains()
    (*lead, rows, size), (context, width) = query.type.shape, value.type.shape[-2:]
    groups = prod(key.type.shape[:-2])
    keys, values = (_matched(site, each, lead, name) for each, name in ((key, "keys"), (value, "values")))
    if isinstance(keys, str) or isinstance(values, str) or prod(lead) % groups:
        groups = prod(lead)
    m = prod(lead) // groups * rows
    here = site.data(query)
    if site.argument("scale") != 1.0:
        here = site.elementwise("mul", (here,), kind=_dense(query.type), suffix="scale")
    scores = TensorType(query.type.dtype, (*lead, rows, context), ())
    here = site.matmul((here, site.data(keys)), groups, m, context, size, kind=scores, suffix="scores")
    here = _masked(site, here, scores)
    here = site.reduce("softmax", (here,), scores.elements, kind=scores, suffix="softmax")
    site.matmul((here, site.data(values)), groups, m, width, context)


def _matched(site: Site, each: Value, lead: list[int], suffix: str) -> Operand:
    """Keys or values with the batch axes of the queries, heads aside: where they are broadcast, a copy is made."""
    *own, rows, size = each.type.shape
    if own[:-1] == lead[:-1] and (lead[-1:] == own[-1:] or site.flag("enable_gqa")):
        return each
    kind = TensorType(each.type.dtype, (*lead, rows, size), ())
    return site.move("expand", (site.data(each),), kind=kind, suffix=suffix)


def _dense(kind: TensorType) -> TensorType:
    return TensorType(kind.dtype, kind.shape, ())


def _masked(site: Site, scores: str, kind: TensorType) -> str:
    """The scores with the mask applied: added where it is a number, chosen by where it is a truth value."""
    mask = site.optional("attn_mask") or site.optional("attn_bias")
    if mask is not None:
        function = "where" if mask.type.dtype == "bool" else "add"
        return site.elementwise(function, (scores, site.weight(mask)), kind=kind, suffix="mask")
    if site.flag("is_causal"):
        return site.elementwise("where", (scores,), kind=kind, suffix="mask")
    return scores
