"""A worker process: reads chunks on standard input, writes tables on standard output (`python -m ...sweep.worker`).

Messages are pickles between a parent and the child that it started, each behind its length in 8 bytes. A worker ends
when its input does, so that none outlives its parent.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any, BinaryIO

__all__ = ["main", "receive", "send"]


def send(stream: BinaryIO, message: Any) -> None:
    """Write one message."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message.

    Raises:
        EOFError: the other side is gone.
    """
    head = stream.read(8)
    size = int.from_bytes(head, "little")
    data = stream.read(size) if len(head) == 8 else b""
    if len(head) < 8 or len(data) < size:
        raise EOFError
    return pickle.loads(data)


def main() -> None:
    """Answer chunks until the input ends."""
    from accelsim.study.sweep.work import evaluate_chunk

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not end up among the answers
    try:
        job = receive(sys.stdin.buffer)
        while True:
            chunk = receive(sys.stdin.buffer)
            send(answers, evaluate_chunk(job, chunk))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return


if __name__ == "__main__":
    main()
