"""The command line on rewritten, converted and saved workloads."""

from __future__ import annotations

import json
from pathlib import Path

import accelsim


def test_rewrites_stand_in_the_provenance(cli):
    code, out, err = cli("simulate", "resnet-20", "systolic-32x32", "--precision", "int8", "--no-intervals", "--json",
                         "--rewrite", "remove-skips:match=layer1.*", "--rewrite", "fuse")  # fmt: skip
    assert code == 0, err
    data = json.loads(out)
    rewrites = data["provenance"]["rewrites"]
    assert [(each["rewrite"], each["parameters"]) for each in rewrites] == [
        ("remove-skips", {"match": "layer1.*", "joins": "all"}), ("fuse", {}),
    ]  # fmt: skip
    assert rewrites[0]["removed"] == ["layer1.0.add", "layer1.1.add", "layer1.2.add"]
    assert any(note.startswith("rewritten: remove-skips") for note in data["notes"])


def test_two_ways_to_the_same_result(cli, tmp_path: Path):
    """Rewritten on the command line, or converted first: the same graph, the same figures."""
    code, _, err = cli("convert", "resnet-20", "--rewrite", "shorten-skips", "--out", tmp_path / "g.json")
    assert code == 0, err
    figures = []
    for arguments in ([tmp_path / "g.json"], ["resnet-20", "--rewrite", "shorten-skips"]):
        _, out, _ = cli("simulate", arguments[0], "systolic-32x32", *arguments[1:], "--no-intervals", "--json")
        data = json.loads(out)
        figures.append([data[key] for key in ("latency_s", "energy_j", "macs", "dram_bytes")])
        figures[-1].append(data["provenance"]["workload_sha256"])
    assert figures[0] == figures[1]


def test_zeros_are_counted_and_not_exploited(cli):
    _, out, _ = cli("simulate", "gemm", "systolic-32x32", "--rewrite", "prune:pattern=2:4", "--no-intervals", "--json")
    pruned = json.loads(out)
    _, out, _ = cli("simulate", "gemm", "systolic-32x32", "--no-intervals", "--json")
    dense = json.loads(out)
    assert pruned["latency_s"] == dense["latency_s"]
    assert any(note.startswith("sparsity:") for note in pruned["notes"])
    assert pruned["provenance"]["workload_sha256"] != dense["provenance"]["workload_sha256"]


def test_lists_and_slips(cli, refused):
    code, out, _ = cli("list", "rewrites", "--json")
    assert code == 0
    assert {"remove-skips", "shorten-skips", "fuse", "prune"} <= {each["name"] for each in json.loads(out)}
    assert "did you mean 'remove-skips'" in refused("show", "resnet-20", "--rewrite", "remove-skip").lower()
    assert "ending" in refused("convert", "gemm", "--out", "graph.txt")
    assert "cannot be written" in refused("convert", "gemm", "--out", "no/such/folder/graph.json")


def test_python_says_the_same(tmp_path: Path):
    graph = accelsim.rewrite("resnet-20", "remove-skips")
    result = accelsim.simulate(graph, "systolic-32x32", precision="int8", intervals=False)
    assert result.check()
    assert result.to_document()["provenance"]["rewrites"][0]["after"]["skips"] == 0
    again = accelsim.simulate(graph, "systolic-32x32", precision="int8", batch=2, intervals=False)
    assert again.macs == 2 * result.macs
    assert again.evaluation.workload.residuals == ()
