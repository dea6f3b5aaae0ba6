"""Runs ZigZag on the files that ``zigzag.py`` writes, in ZigZag's own environment, and prints one JSON document.

python zigzag_run.py FOLDER LAYER...
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from zigzag.api import get_hardware_performance_zigzag
from zigzag.cost_model.cost_model import CostModelEvaluation
from zigzag.cost_model.port_activity import PortActivity
from zigzag.mapping.data_movement import DataDirection, DataMoveAttr


def main() -> None:
    folder, *layers = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    out = sys.stdout
    sys.stdout = sys.stderr  # what ZigZag prints is not the answer
    answers = {layer: _layer(Path(folder), layer) for layer in layers}
    json.dump(answers, out)


def _layer(folder: Path, layer: str) -> dict[str, Any]:
    start = time.process_time()
    *_, found = get_hardware_performance_zigzag(
        str(folder / f"{layer}.workload.yaml"),
        str(folder / "accelerator.yaml"),
        str(folder / f"{layer}.mapping.yaml"),
        opt="latency",
        dump_folder=str(folder / "dump" / layer),
        loma_show_progress_bar=False,
    )
    cpu_s = time.process_time() - start
    evaluation = found[0][1][0][0]
    return {"cpu_s": cpu_s, **_figures(evaluation)}


def _figures(run: CostModelEvaluation) -> dict[str, Any]:
    """Cycles of a layer as ZigZag divides them, and what they follow from."""
    ports = [
        {"memory": level.name, "stall": stall, "busy": dict(_port_cycles(each) for each in duties[name])}
        for level, stalls, duties in zip(
            run.mem_level_list, run.stall_slack_comb_collect, run.port_activity_collect, strict=True
        )
        for name, stall in stalls.items()
    ]
    return {
        "ideal": run.ideal_cycle,
        "computation": run.ideal_temporal_cycle,
        "stall": run.stall_slack_comb,
        "load": run.data_onloading_cycle,
        "unload": run.data_offloading_cycle,
        "drain": run.systolic_drain_cycle,
        "total": run.latency_total2,
        "ports": ports,
        "load_parts": {op.name: cycles for op, cycles in run.data_loading_cc_pair_combined_per_op.items()},
        "unload_parts": run.data_offloading_cc_pair_combined,
        "spatial": {str(dim): str(loops) for dim, loops in run.layer.spatial_mapping.items()},
        "dram": _dram_bits(run),
    }


def _port_cycles(duty: PortActivity) -> tuple[str, int]:
    """One kind of transfer through a port, and the cycles that it takes in all."""
    operand, _, direction = duty.served_op_lv_dir
    return f"{operand.name} {direction.value}", int(duty.real_cycle * duty.period_count)


def _dram_bits(run: CostModelEvaluation) -> dict[str, int]:
    """Bits by operand that cross the port of the topmost memory: what moves in a period, times the periods."""
    moved = {}
    for operand, levels in run.mapping_int.unit_mem_data_movement.items():
        amount, count, precision = (levels[-1].get_attribute(each) for each in _TRAFFIC)
        moved[operand.name] = sum(amount.get(each) * count.get(each) * precision.get(each) for each in DataDirection)
    return moved


_TRAFFIC = (
    DataMoveAttr.DATA_TRANS_AMOUNT_PER_PERIOD,
    DataMoveAttr.DATA_TRANS_PERIOD_COUNT,
    DataMoveAttr.DATA_PRECISION,
)


if __name__ == "__main__":
    main()
