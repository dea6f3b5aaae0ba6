"""Refusals and their messages."""

import pytest

from accelsim.errors import InputError
from accelsim.hardware.load import load_architecture

DRAM = "memory.dram.bandwidth_bytes_per_s"


@pytest.fixture(scope="session")
def rapid():
    return load_architecture("rapid-4core")


def refusal(call, *arguments, kind=InputError):
    with pytest.raises(kind) as caught:
        call(*arguments)
    return str(caught.value)


def outcome(call, argument):
    """What the call gives and "", or None and the message of its refusal, which is short and can be printed."""
    try:
        return call(argument), ""
    except InputError as error:
        message = str(error)
    message.encode()
    assert len(message) < 2000
    return None, message
