"""The streaming residual block of `accelsim.cost.fpga.residual` as a dataflow: what its clock cycles do.

A convolution takes a pixel in a cycle, works nine (one a tap) and hands its result over in another; the border of
zeros takes a cycle a pixel. The duplicator is wired to the convolution and keeps a pixel until both branches have it.
"""

from __future__ import annotations

from accelsim.errors import InputError, UnknownNameError
from accelsim.mapping.fpga.circuits import Adder, Duplicator, SlidingWindow, Wiring
from accelsim.mapping.fpga.records import Dataflow, Stage, Stream, every_pixel
from accelsim.mapping.fpga.windows import wrapping_window

__all__ = ["SKIPS", "residual_dataflow"]

SKIPS = ("long", "short")
_TAPS = 9


def residual_dataflow(
    skips: str, width: int, height: int, *, depth: int, between: int = 2, work_cycles: int = _TAPS
) -> Dataflow:
    """Two 3 x 3 convolutions with one skip around both (long) or one around each (short).

    Args:
        width, height: of the image, pixels.
        depth: of the skip FIFOs, pixels.
        between: of all others.
        work_cycles: cycles that a convolution works on a pixel.

    Raises:
        UnknownNameError: another arrangement of skips.
        InputError: an image of less than 2 x 2 pixels, or a FIFO of no depth.
    """
    if skips not in SKIPS:
        raise UnknownNameError("arrangement of skips", skips, SKIPS, field="skips")
    for name, size in (("width", width), ("height", height)):
        if size < 2:
            raise InputError("must be 2 or more", field=name, value=size)
    chain = ("conv1", "conv2") if skips == "long" else None
    blocks = [chain] if chain else [("conv1",), ("conv2",)]
    stages = [_passing("source", width * height, (), ("stream",), put_cycles=0)]
    streams = {"stream": Stream("stream", 1, 1, between)}
    here = "stream"
    for index, convolutions in enumerate(blocks):
        here = _block(stages, streams, here, convolutions, index, (height, width), (depth, between), work_cycles)
    stages.append(_passing("sink", width * height, (here,), ()))
    return Dataflow(tuple(stages), streams)


def _block(
    stages: list[Stage], streams: dict[str, Stream], here: str, convolutions: tuple[str, ...], index: int,
    image: tuple[int, int], depths: tuple[int, int], work_cycles: int,
) -> str:  # fmt: skip
    """Append one skip and what it goes around; returns the stream behind it."""
    pixels, (depth, between) = image[0] * image[1], depths
    branch, skip = f"branch{index}", f"skip{index}"
    streams[branch] = Stream(branch, 1, 1, None)
    streams[skip] = Stream(skip, 1, 1, depth, skip=f"add{index}")
    duplicator = Duplicator(1, 1, 1)
    stages.append(Stage(f"fork{index}", index, (duplicator,), every_pixel(pixels, 0), (here,), (branch, skip),
                        registers=0, holds_input=True))  # fmt: skip
    here = branch
    for name in convolutions:
        made = f"{name}.output"
        streams[made] = Stream(made, 1, 1, between)
        window = SlidingWindow(1, 1, 1, (3, 3), image, (1, 1))
        stages.append(
            Stage(name, index, (window,), wrapping_window(image, 1 + work_cycles), (here,), (made,), registers=0)
        )  # fmt: skip
        here = made
    made = f"sum{index}"
    streams[made] = Stream(made, 1, 1, between)
    stages.append(_passing(f"add{index}", pixels, (here, skip), (made,), circuit=Adder(1, 1, 1)))
    return made


def _passing(
    name: str, pixels: int, inputs: tuple[str, ...], outputs: tuple[str, ...], *, put_cycles: int = 1,
    circuit: Wiring | Adder | None = None,
) -> Stage:  # fmt: skip
    steps = every_pixel(pixels, 0)
    return Stage(name, 0, (circuit or Wiring(),), steps, inputs, outputs, put_cycles=put_cycles, registers=0)
