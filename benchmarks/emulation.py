"""How long `emulate` takes for a second of audio: CPU time of all threads, mapping and drawing of weights included.

    python benchmarks/emulation.py

Asked is that an LSTM speech model's second of audio in INT4, with the hardware's accumulation, takes 5 s on one core.
Each model runs twice in FP32 at the same time: the reference and the emulation read the same weights.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy loads

import time

import accelsim

ASKED_S = 5.0
CASES = (
    ("dblstm-hmm", {"audio_s": 1.0}),
    ("rnnt", {"audio_s": 1.0}),
    ("rnnt-mlperf", {"audio_s": 1.0}),
    ("rnnt-lm-fusion", {"audio_s": 1.0}),
)


def main() -> None:
    accelsim.emulate("lstm", "rapid-4core", precision="int4")  # compiles
    print(f"{'workload':<16}{'architecture':<18}{'precision':<10}{'GMAC':>7}{'CPU s':>8}   asked {ASKED_S:g} s")
    for name, parameters in CASES:
        graph = accelsim.load_workload(name, **parameters)
        for architecture, precision in (("rapid-4core", "int4"), ("systolic-128x128", "int4"), ("rapid-4core", "fp16")):
            if precision == "fp16" and graph.macs > 20e9:
                continue
            before = time.process_time()
            accelsim.emulate(graph, architecture, precision=precision)
            taken = time.process_time() - before
            verdict = "" if precision != "int4" else ("  within" if taken <= ASKED_S else "  beyond")
            print(
                f"{name:<16}{architecture:<18}{precision:<10}{graph.macs / 1e9:>7.2f}{taken:>8.2f}{verdict}", flush=True
            )


if __name__ == "__main__":
    main()
