"""CPU seconds of whole commands, as a user waits for them: ``python benchmarks/startup.py``.

Each command runs once to warm numba's cache, then several times; user and system time of the finished processes are
what the operating system accounts. The yardstick, an interpreter that does nothing, runs in turn with them.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

RUNS = 5
COMMANDS = [
    ("python -c pass", ["-c", "pass"], None),
    ("accelsim --help", ["-m", "accelsim", "--help"], 0.4),
    (
        "accelsim simulate resnet-50 systolic-128x128",
        ["-m", "accelsim", "simulate", "resnet-50", "systolic-128x128"],
        2.5,
    ),
    (
        "accelsim compare rnnt-lm-fusion rapid-4core",
        ["-m", "accelsim", "compare", "rnnt-lm-fusion", "rapid-4core"],
        None,
    ),
]


def cpu_s(arguments: list[str]) -> float:
    """User and system seconds of one child process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    for _, arguments, _ in COMMANDS:
        cpu_s(arguments)
    spent = {name: [cpu_s(arguments) for _ in range(RUNS)] for name, arguments, _ in COMMANDS}
    yardstick = statistics.median(spent[COMMANDS[0][0]])
    print(f"{'command':<48} {'asked':>7} {'median':>8} {'least':>8} {'/ python':>9}   CPU seconds")
    for name, _, asked in COMMANDS:
        median = statistics.median(spent[name])
        bound = f"{asked:7.2f}" if asked else f"{'':7}"
        print(f"{name:<48} {bound} {median:8.3f} {min(spent[name]):8.3f} {median / yardstick:8.1f}x")


if __name__ == "__main__":
    main()
