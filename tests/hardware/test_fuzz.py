"""Whatever stands in a description or an override, it is taken, or refused with one message."""

import copy
import math
import time

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.documents import bundled_folder, read_yaml
from accelsim.hardware.load import load_architecture
from tests.hardware.conftest import outcome, refusal

RAPID = read_yaml(bundled_folder("architectures") / "rapid-4core" / "architecture.yaml")

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just("3 GHz") | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(node, path=()):
    """The path of every field of a description."""
    for key, value in node.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


@st.composite
def descriptions(draw):
    """A bundled description with a few fields removed, renamed or replaced."""
    data = copy.deepcopy(RAPID)
    for place in draw(st.lists(st.sampled_from(list(places(RAPID))), max_size=3)):
        here = data
        for part in place[:-1]:
            here = here.get(part) if isinstance(here, dict) else None
        if not isinstance(here, dict) or place[-1] not in here:
            continue
        value = here.pop(place[-1])
        action = draw(st.sampled_from(["remove", "rename", "replace", "replace"]))
        if action == "rename":
            here[draw(st.text(max_size=8))] = value
        elif action == "replace":
            here[place[-1]] = draw(junk)
    return data


@settings(max_examples=150, deadline=None)
@given(data=descriptions() | st.dictionaries(st.text(max_size=5), junk, max_size=4))
def test_any_description_loads_or_is_refused_with_one_message(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8", errors="surrogatepass")
    began = time.process_time()
    architecture, message = outcome(load_architecture, path)
    if architecture is None:
        assert message.startswith(str(path))
    else:
        assert architecture.constants()
        for name in architecture.description.array.units:
            assert 0 < architecture.description.peak_ops_per_s(name) < math.inf
            assert architecture.description.peak_ops_per_joule(name) > 0
    assert time.process_time() - began < 2


@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_refused_with_one_message(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(content)
    assert refusal(load_architecture, path).startswith(str(path))


LEAVES = list(load_architecture("rapid-4core").description.parameters())


@settings(max_examples=150, deadline=None)
@given(
    values=st.dictionaries(st.sampled_from([*LEAVES, "memory", "array.units", "x.y", ""]), junk, min_size=1, max_size=2)
)
def test_any_override_is_taken_or_refused_with_one_message(rapid, values):
    before = rapid.description.model_dump()
    other, message = outcome(rapid.override, values)
    if other is None:
        assert message.startswith("override of rapid-4core: ")
    else:
        assert set(other.overrides) == set(values)
    assert rapid.description.model_dump() == before
