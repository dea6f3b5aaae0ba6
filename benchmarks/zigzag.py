"""Layers on one machine beside ZigZag 3.9.1: cycles by cause, every difference explained, and CPU time.

    python benchmarks/zigzag.py [--bandwidth 16] [--folder .cache/zigzag]

ZigZag is installed from PyPI into an environment of its own in the folder. Both get the same layers, array, memories
and bandwidths: `accelerator`, `spatial` and `workload` write our architecture and layers as ZigZag reads them. ZigZag
searches with LOMA for the least latency. Both answers are divided into

    ideal     multiply-accumulates over the array's peak
    edges     what the array's edges add: ZigZag's spatial stall
    stall     the array waits for data during the computation: ZigZag's temporal stall
    load      before the first computation: its data onloading
    unload    after the last one: its data offloading
    drain     the array's pipeline: its systolic drain

and where a part differs by more than a tenth the two mappings are compared in it.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
import venv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

import accelsim
from accelsim.hardware.load import Architecture
from accelsim.mapping import machines
from accelsim.mapping.records import OpMapping
from accelsim.pipeline import Evaluation, evaluate
from accelsim.study.cycles import PARTS, time_parts
from accelsim.units import FS_PER_S
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Conv, MatMul

ZIGZAG = ("zigzag-dse==3.9.1", "six")
ARCHITECTURE = "systolic-32x32-ws-overlapped"
# The same machine in both: what ZigZag has no word for (latencies, bursts, refresh) is left out.
SAME = {
    "memory.dram.efficiency": 1.0,
    "memory.dram.latency_s": 0.0,
    "memory.dram.burst_bytes": 1,
    "memory.dram.channels": 1,
    "op_overhead_cycles": 0,
}
RESNET = (
    "conv1", "layer1.0.conv1", "layer2.0.conv1", "layer2.0.downsample.conv", "layer3.0.conv2", "layer4.1.conv2", "fc",
)  # fmt: skip
PRODUCTS = {"bert.projection": (128, 768, 768), "bert.up": (128, 3072, 768), "square": (512, 512, 512)}
SHOWN = ("ideal", "edges", "stall", "load", "unload", "drain")
TENTH = 0.1


@dataclass(frozen=True)
class Answer:
    """One layer in both programs: cycles by part, and CPU seconds."""

    ours: dict[str, float]
    theirs: dict[str, float]
    our_cpu_s: float
    their_cpu_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(".cache/zigzag"), help="for ZigZag and its files")
    parser.add_argument("--bandwidth", type=int, default=16, help="of the DRAM, bytes a cycle")
    given = parser.parse_args()
    folder: Path = given.folder.resolve()
    arch = accelsim.load_architecture(ARCHITECTURE).override(SAME)
    arch = arch.override({"memory.dram.bandwidth_bytes_per_s": given.bandwidth * arch.description.clock_hz("array")})
    graphs = {op.name: alone(graph, op) for graph, op in layers()}
    runs = {name: timed(graph, arch) for name, graph in graphs.items()}
    theirs = zigzag(folder, arch, {name: matrix_op(run) for name, (run, _) in runs.items()})
    print(f"{arch.description.description}; DRAM {given.bandwidth} B a cycle, INT8. Cycles: ours, ZigZag's, ratio\n")
    print(f"{'layer':26}" + "".join(f"{part:>22}" for part in (*SHOWN, "total")) + f"{'CPU ms':>20}")
    for name, (run, cpu_s) in runs.items():
        show(name, run, Answer(our_cycles(run), their_cycles(theirs[name]), cpu_s, theirs[name]["cpu_s"]), theirs[name])


# ---- the layers, and our side


def layers() -> list[tuple[Graph, Conv | MatMul]]:
    """Layers of ResNet-18 and products such as BERT's."""
    resnet = accelsim.load_workload("resnet-18")
    found = [(resnet, op) for op in resnet.ops if op.name in RESNET and isinstance(op, Conv | MatMul)]
    for name, (m, n, k) in PRODUCTS.items():
        op = MatMul(name=name, inputs=("x", f"{name}.w"), outputs=("y",), m=m, n=n, k=k)
        shapes = {"x": (m, k), f"{name}.w": (k, n), "y": (m, n)}
        tensors = {key: Tensor(key, shape, "weight" if "." in key else "activation") for key, shape in shapes.items()}
        found.append((Graph(name, (op,), tensors, ("x",), ("y",)), op))
    return found


def alone(graph: Graph, op: Conv | MatMul) -> Graph:
    """A workload of this op only, without bias; its input and output are in DRAM."""
    op = replace(op, inputs=op.inputs[:2])
    tensors = {name: graph.tensors[name] for name in (*op.inputs, *op.outputs)}
    return Graph(op.name, (op,), tensors, (op.inputs[0],), op.outputs)


def timed(graph: Graph, arch: Architecture) -> tuple[Evaluation, float]:
    """The evaluation, and CPU seconds of making it with the search; compiled before."""
    evaluate(graph, arch, "int8")
    machines.searched.cache_clear()
    start = time.process_time()
    run = evaluate(graph, arch, "int8")
    return run, time.process_time() - start


def matrix_op(run: Evaluation) -> OpMapping:
    return next(each for each in run.mapping.walk() if each.problem is not None)


def our_cycles(run: Evaluation) -> dict[str, float]:
    cycle_fs = FS_PER_S / run.architecture.description.clock_hz("array")
    parts = {name: float(getattr(time_parts(run), name).sum()) / cycle_fs for name in PARTS}
    return {
        "ideal": parts["ideal"], "edges": parts["spatial"], "stall": parts["wait"] + parts["port"],
        "load": parts["load"] + parts["launch"], "unload": parts["unload"], "drain": parts["fill"],
        "total": sum(parts.values()),
    }  # fmt: skip


# ---- ZigZag's side


def zigzag(folder: Path, arch: Architecture, mapped: dict[str, OpMapping]) -> dict[str, dict[str, Any]]:
    """ZigZag's answers by layer."""
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(folder / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *ZIGZAG], check=True)
    write(folder / "accelerator.yaml", accelerator(arch))
    for name, op in mapped.items():
        write(folder / f"{name}.workload.yaml", [workload(op)])
        write(folder / f"{name}.mapping.yaml", [{"name": "default", "spatial_mapping": spatial(arch, op)}])
    # -P: this folder stays off the path, where this file would stand for the package of its name.
    command = [python, "-P", Path(__file__).with_name("zigzag_run.py"), folder, *mapped]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=sys.stderr.fileno())
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def write(path: Path, data: object) -> None:
    path.write_text(yaml.safe_dump(data, sort_keys=False))


def accelerator(arch: Architecture) -> dict[str, object]:
    """The machine as ZigZag reads it: two weights in each PE, accumulators below each column, scratchpad, DRAM."""
    chip = arch.description
    rows, columns = int(chip.array.rows.value), int(chip.array.columns.value)
    port = int(8 * chip.scratchpad.bandwidth_bytes_per_cycle.value)
    dram = round(8 * chip.memory.dram.bandwidth_bytes_per_s.value / chip.clock_hz("array"))
    sums = int(8 * chip.array.accumulator_bytes.value) // columns
    read, written = ["I1, tl", "I2, tl", "O, tl", "O, th"], ["I1, fh", "I2, fh", "O, fh", "O, fl"]
    memories = {
        "weights": memory(16, ["I2"], [], [("r", 8, ["I2, tl"]), ("w", 8, ["I2, fh"])]),
        "sums": memory(sums, ["O"], ["D1"], [
            ("r", 32, ["O, tl"]), ("r", 32, ["O, th"]), ("w", 32, ["O, fl"]), ("w", 32, ["O, fh"]),
        ]),
        "scratchpad": memory(int(8 * chip.scratchpad.capacity_bytes.value), ["I1", "I2", "O"], ["D1", "D2"], [
            ("r", port, read), ("w", port, written),
        ]),
        "dram": memory(2**40, ["I1", "I2", "O"], ["D1", "D2"], [("rw", dram, [*read, *written])]),
    }  # fmt: skip
    array = {
        "unit_energy": 0.0, "unit_area": 0.0, "dimensions": ["D1", "D2"], "sizes": [rows, columns],
        "systolic_dimensions": ["D1", "D2"],
    }  # fmt: skip
    return {"name": arch.name, "memories": memories, "operational_array": array}


def memory(
    bits: int, operands: list[str], served: list[str], ports: list[tuple[str, int, list[str]]]
) -> dict[str, object]:
    """One level; ``ports`` are (kind, bits a cycle, what passes)."""
    words = {"r": "read", "w": "write", "rw": "read_write"}
    numbers: dict[str, int] = {}
    listed = []
    for kind, width, passes in ports:
        numbers[kind] = numbers.get(kind, 0) + 1
        listed.append({
            "name": f"{kind}_port_{numbers[kind]}", "type": words[kind], "bandwidth_min": min(width, 8),
            "bandwidth_max": width, "allocation": passes,
        })  # fmt: skip
    return {
        "size": bits, "r_cost": 0.0, "w_cost": 0.0, "area": 0.0, "latency": 1, "operands": operands, "ports": listed,
        "served_dimensions": served,
    }  # fmt: skip


def spatial(arch: Architecture, mapped: OpMapping) -> dict[str, list[str]]:
    """Weight stationary: reduction along the rows (taps beside channels where these are few), outputs along columns."""
    left = int(arch.description.array.rows.value)
    reduced = []
    sizes = loop_sizes(mapped)
    for loop in ("C", "FX", "FY"):
        unrolled = min(left, sizes.get(loop, 1))
        if unrolled > 1:
            reduced.append(f"{loop}, {unrolled}")
            left //= unrolled
    columns = min(int(arch.description.array.columns.value), sizes["K"])
    return {"D1": reduced, "D2": [f"K, {columns}"]}


def loop_sizes(mapped: OpMapping) -> dict[str, int]:
    """A layer's loops under ZigZag's names."""
    op = mapped.op
    if isinstance(op, MatMul):
        return {"B": op.m, "K": op.n, "C": op.k}
    assert isinstance(op, Conv)
    (oy, ox), (fy, fx) = op.output_size, op.kernel
    return {"B": op.batch, "K": op.out_channels, "OX": ox, "OY": oy, "C": op.in_channels, "FX": fx, "FY": fy}


def workload(mapped: OpMapping) -> dict[str, object]:
    """A layer as ZigZag reads it."""
    problem, op, sizes = mapped.problem, mapped.op, loop_sizes(mapped)
    assert problem is not None
    layer: dict[str, object] = {
        "id": 0, "name": op.name, "operator_type": "Gemm", "equation": "O[b][k]+=W[k][c]*I[b][c]",
        "dimension_relations": [], "loop_dims": [*sizes], "loop_sizes": [*sizes.values()],
        "operand_precision": {
            "W": int(8 * problem.weight_bytes), "I": int(8 * problem.input_bytes),
            "O": int(8 * problem.partial_bytes), "O_final": int(8 * problem.output_bytes),
        },
        "operand_source": {"W": 0, "I": 0},
    }  # fmt: skip
    if isinstance(op, Conv):
        (sy, sx), (py, px), (iy, ix) = op.stride, op.padding or (0, 0), op.input_size
        layer |= {
            "operator_type": "Conv", "equation": "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]",
            "dimension_relations": [f"ix={sx}*ox+1*fx", f"iy={sy}*oy+1*fy"],
            "pr_loop_dims": ["IX", "IY"], "pr_loop_sizes": [ix, iy], "padding": [[px, px], [py, py]],
        }  # fmt: skip
    return layer


def their_cycles(found: dict[str, Any]) -> dict[str, float]:
    return {
        "ideal": found["ideal"], "edges": found["computation"] - found["ideal"], "stall": found["stall"],
        "load": found["load"], "unload": found["unload"], "drain": found["drain"], "total": found["total"],
    }  # fmt: skip


# ---- the comparison


def show(name: str, run: Evaluation, answer: Answer, found: dict[str, Any]) -> None:
    cells = []
    for part in (*SHOWN, "total"):
        ours, theirs = answer.ours[part], answer.theirs[part]
        ratio = f"{ours / theirs:.2f}" if theirs else ("1.00" if ours < 0.5 else "-")
        cells.append(f"{ours:>9,.0f}{theirs:>8,.0f}{ratio:>7}")
    cpu = (
        f"{1e3 * answer.our_cpu_s:>7.1f}{1e3 * answer.their_cpu_s:>7.0f}{answer.their_cpu_s / answer.our_cpu_s:>6.0f}x"
    )
    print(f"{name:26}" + "".join(cells) + cpu)
    for part, words in differences(run, answer, found).items():
        print(f"    {part}: {words}")


def differences(run: Evaluation, answer: Answer, found: dict[str, Any]) -> dict[str, str]:
    """An explanation from both mappings of each part that differs by more than a tenth, and by more than a cycle."""
    explain = {"edges": edges, "stall": stall, "load": load, "unload": unload, "drain": drain}
    differing = [
        part for part in SHOWN
        if abs(answer.ours[part] - answer.theirs[part]) > max(1.0, TENTH * abs(answer.theirs[part]))
    ]  # fmt: skip
    return {part: explain[part](run, answer, found) for part in differing}


def edges(run: Evaluation, answer: Answer, found: dict[str, Any]) -> str:
    """Folds of both: whole k along the rows against whole loops; and what tiles of ours add to it."""
    op, array = matrix_op(run), run.architecture.description.array
    problem, c = op.problem, op.candidate
    assert problem is not None
    assert c is not None
    rows, columns = int(array.rows.value), int(array.columns.value)
    folds = math.ceil(problem.k / rows) * math.ceil(problem.n / columns)
    taken = round((answer.ours["ideal"] + answer.ours["edges"]) / problem.m)
    return (
        f"ours {taken} folds of {problem.m} rows, {folds} if tiles of k{c.tile_k} n{c.tile_n} were whole folds; ZigZag "
        f"{found['computation'] / problem.m:g}, for it unrolls whole loops, {' and '.join(found['spatial'].values())}"
    )


def stall(run: Evaluation, answer: Answer, found: dict[str, Any]) -> str:
    """DRAM traffic of both beside everything else that takes time; and where ZigZag's port conflicts are."""
    metrics = matrix_op(run).metrics
    assert metrics is not None
    dram = bandwidth(run)
    moved = {"W": metrics.weight_dram_bytes, "I": metrics.input_dram_bytes, "O": metrics.output_dram_bytes}
    theirs = {name: bits / 8 for name, bits in found["dram"].items()}
    worst = max(found["ports"], key=lambda port: float(port["stall"]))
    busy = " + ".join(f"{each} {cycles:,}" for each, cycles in worst["busy"].items() if cycles)
    ours_cycles, their_cycles_moved = (sum(each.values()) / dram for each in (moved, theirs))
    return (
        f"ours moves {bytes_text(moved)}, {ours_cycles:,.0f} cycles of DRAM for {answer.ours['total']:,.0f} in all; "
        f"ZigZag {bytes_text(theirs)}, {their_cycles_moved:,.0f} cycles, and stalls where its {worst['memory']} port "
        f"is busy for {busy} cycles"
    )


def bytes_text(moved: dict[str, float]) -> str:
    return " + ".join(f"{name} {moved[name] / 1e3:,.0f}" for name in ("W", "I", "O")) + " kB"


def bandwidth(run: Evaluation) -> float:
    """DRAM bytes a cycle."""
    chip = run.architecture.description
    return chip.memory.dram.bandwidth_bytes_per_s.value / chip.clock_hz("array")


def load(run: Evaluation, _answer: Answer, found: dict[str, Any]) -> str:
    """The first tile of ours against what ZigZag brings into the scratchpad before it starts."""
    op, dram = matrix_op(run), bandwidth(run)
    assert op.metrics is not None
    assert op.candidate is not None
    c, tensors = op.candidate, run.graph.tensors
    sizes = {"I": tensors[op.op.inputs[0]].bytes, "W": tensors[op.op.inputs[1]].bytes}
    theirs = {name: dram * max(cycles) for name, cycles in found["load_parts"].items()}
    brought = ", ".join(
        f"{moved / 1e3:,.1f} kB of {name} ({moved / sizes[name]:.0%})" for name, moved in theirs.items()
    )
    return (
        f"ours the first of {op.metrics.tiles} tiles (m{c.tile_m} n{c.tile_n} k{c.tile_k}), "
        f"{op.metrics.first_load_bytes / 1e3:,.1f} kB; ZigZag at most {brought}, computing nothing meanwhile"
    )


def unload(run: Evaluation, _answer: Answer, found: dict[str, Any]) -> str:
    """The last tile of ours against what ZigZag moves from level to level at the end."""
    op = matrix_op(run)
    assert op.metrics is not None
    inner, outer = found["unload_parts"]
    return (
        f"ours the last tile, {op.metrics.last_store_bytes / 1e3:,.1f} kB, and stores queued behind loads; ZigZag "
        f"{inner:,.0f} cycles from accumulators to scratchpad and {outer * bandwidth(run) / 1e3:,.1f} kB from there"
    )


def drain(run: Evaluation, answer: Answer, found: dict[str, Any]) -> str:
    """Pipeline of both; ours also holds the cycles in which a fold waits for the next weights to be shifted in."""
    array = run.architecture.description.array
    fill = 2 * int(array.rows.value) + int(array.columns.value) - 2
    waits = max(0.0, answer.ours["drain"] - fill)
    return (
        f"ours 2 R + C - 2 = {fill}, weights shifted in included, and {waits:,.0f} cycles in which folds shorter than "
        f"R wait for the next weights; ZigZag the unrolled extents less one, {found['drain']}"
    )


if __name__ == "__main__":
    main()
