"""The rules of authored files: scalars, constants, and complaints that name field, value, rule and remedy."""

from __future__ import annotations

import contextlib
import math
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError

from accelsim import documents
from accelsim.documents import (
    Authored,
    Constant,
    Count,
    NonNegative,
    Positive,
    Share,
    bundled_folder,
    number_complaint,
    parse_yaml,
    validated,
)
from accelsim.errors import InputError


def refused(call, *arguments, **keywords):
    with pytest.raises(InputError) as caught:
        call(*arguments, **keywords)
    str(caught.value).encode()  # it can be printed
    return caught.value


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.just(10**400), st.just("1.6 GHz")
)
structures = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


class TestScalars:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1e9", 1e9), ("1.6e9", 1.6e9), ("1.6e+09", 1.6e9), ("1E-3", 1e-3), ("+1.5", 1.5), (".5", 0.5), ("1.", 1.0),
            ("1_000", 1000), ("1_000.5", 1000.5), ("0x1F", 31), ("-3", -3), ("0", 0), ("-0.0", 0.0),
            ("010", "010"), ("0o17", "0o17"), ("1:30", "1:30"), ("2021-01-01", "2021-01-01"), ("=", "="), ("<<", "<<"),
            ("yes", "yes"), ("no", "no"), ("on", "on"), ("true", True), ("False", False), ("~", None), ("null", None),
            (".inf", math.inf), ("-.inf", -math.inf), ("1e", "1e"), ("e9", "e9"), ("1e9x", "1e9x"), ("--1", "--1"),
            ("1.6 GHz", "1.6 GHz"), ("'1'", "1"), ("", None), ("１", "１"),
        ],
    )  # fmt: skip
    def test_value(self, text, value):
        read = parse_yaml(f"a: {text}")["a"]
        assert read == value
        assert type(read) is type(value)

    def test_not_a_number(self):
        assert math.isnan(parse_yaml("a: .nan")["a"])


ONE = {"value": 1, "source": "x"}


class Clock(Authored):
    clock_hz: Positive


class Ring(Authored):
    kind: Literal["ring"]
    hops: int = Field(ge=1)


class Mesh(Authored):
    kind: Literal["mesh"]
    columns: Count


class Chip(Authored):
    clocks: dict[str, Clock] = Field(default_factory=dict)
    network: Annotated[Ring | Mesh, Field(discriminator="kind")] | None = None
    parts: tuple[Clock, ...] = ()
    area_um2: NonNegative | None = None
    capacity_bytes: Positive | None = None
    energy_pj_per_mac: NonNegative | None = None
    bandwidth_bytes_per_s: Positive | None = None
    efficiency: Share | None = None
    fast: bool = False
    tagged: (
        Annotated[
            Annotated[Clock, Tag("clock")] | Annotated[bool, Tag("flag")],
            Discriminator(
                lambda data: "clock" if isinstance(data, dict) else "flag" if data in (True, False) else None
            ),
        ]
        | None
    ) = None


def complaint(data) -> InputError:
    return refused(validated, Chip, data, file="chip.yaml")


class TestComplaints:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (
                {"clocks": {"core": {"clock_hz": "1.6 GHz"}}},
                "chip.yaml: clocks.core.clock_hz: '1.6 GHz' must be a plain number: the unit is in the field's name. "
                "Write 1.6e+09.",
            ),
            (
                {"clocks": {"core": {"clock_hz": {"value": "1.6 GHz", "source": "x"}}}},
                "chip.yaml: clocks.core.clock_hz.value: '1.6 GHz' must be a plain number: the unit is in the field's "
                "name. Write 1.6e+09.",
            ),
            (
                {"clocks": {"core": {"clock_hz": 5}}},
                "chip.yaml: clocks.core.clock_hz: 5 is a number without an owner. "
                "Write {value: 5, source: <citation>}, or {value: 5, low: , high: , source: assumed, why: }.",
            ),
            (
                {"clocks": {"core": {"clock_hz": {"value": -5, "source": "x"}}}},
                "chip.yaml: clocks.core.clock_hz: must be positive.",
            ),
            ({"clocks": {"core": {"clock_hz": None}}}, "chip.yaml: clocks.core.clock_hz: must be a number."),
            ({"clocks": {"core": {"clock_hz": True}}}, "chip.yaml: clocks.core.clock_hz: True must be a number."),
            ({"clocks": {"core": {}}}, "chip.yaml: clocks.core.clock_hz: is missing."),
            ({"clocks": [1]}, "chip.yaml: clocks: must be a mapping of fields."),
            ({"fast": "maybe"}, "chip.yaml: fast: 'maybe' must be true or false."),
            ({"network": {"kind": "ring", "hops": 0}}, "network.hops: 0 must be greater than or equal to 1."),
            ({"network": {"kind": "ring", "hops": 1.5}}, "network.hops: 1.5 must be a valid integer"),
            ({"network": {}}, "chip.yaml: network: has no `kind`. Write one of ring, mesh."),
            ({"network": {"kind": "rng"}}, "network: 'rng' is not a known `kind`. Write one of ring, mesh."),
            ({"network": {"kind": "mesh", "columns": {"value": 1.5, "source": "x"}}}, "must be a whole number"),
            ({"efficiency": {"value": 1.5, "source": "x"}}, "efficiency: must be above 0 and at most 1."),
            ({"efficiency": {"value": 10**400, "source": "x"}}, "efficiency.value: is too large a number."),
            ({"efficiency": 10**400}, "efficiency: is too large a number."),
            ({"efficiency": {"value": math.nan, "source": "x"}}, "efficiency.value: nan must be a finite number."),
            ({"efficiency": {"value": math.inf, "source": "x"}}, "efficiency.value: inf must be a finite number."),
            ({"efficiency": {"value": 0.5, "source": ""}}, "efficiency.source: '' must have at least 1 character"),
            ({"efficiency": {"value": True, "source": "x"}}, "efficiency.value: True must be a number."),
            ({"efficiency": {"value": "0.5", "source": "x"}}, "efficiency.value: '0.5' must be a number."),
            (
                {"parts": [{"clock_hz": {"value": 1, "source": "x"}}, {"clock_hz": 3}]},
                "parts.1.clock_hz: 3 is a number",
            ),
        ],
    )
    def test_message(self, data, message):
        assert message in str(complaint(data)).replace("?.", "?")

    def test_number_that_python_does_not_print(self):
        for data in (10**5000, {"value": 10**5000, "source": "x"}):
            assert "is too large a number" in str(complaint({"efficiency": data}))

    @pytest.mark.parametrize(
        ("data", "remedy"),
        [
            ({"clock": {}}, "did you mean 'clocks'?"),
            ({"clocks": {"core": {"clock_hz": ONE, "clock_hertz": 1}}}, "did you mean 'clock_hz'?"),
            ({"clocks": {"clock_hz": {"clock_hz": ONE, "zzz": 1}}}, "known fields: clock_hz"),
            ({"parts": [{"clock_hz": ONE, "clokc_hz": 1}]}, "did you mean 'clock_hz'?"),
            ({"network": {"kind": "ring", "hops": 1, "hop": 1}}, "did you mean 'hops'?"),
            ({"network": {"kind": "mesh", "columns": ONE, "hops": 1}}, "known fields: columns, kind"),
            ({"network": {"kind": "mesh", "columns": {**ONE, "vaule": 1}}}, "did you mean 'value'?"),
            ({"tagged": {"clock_hz": ONE, "clockhz": 1}}, "did you mean 'clock_hz'?"),
            ({"efficiency": {**ONE, "whi": ""}}, "did you mean 'why'?"),
        ],
    )
    def test_unknown_field(self, data, remedy):
        error = complaint(data)
        assert error.rule == "is not a known field"
        assert error.remedy == remedy

    @pytest.mark.parametrize(
        ("field", "text", "remedy"),
        [
            ("clock_hz", "1.6 GHz", "write 1.6e+09"),
            ("clock_hz", "1.6GHz", "write 1.6e+09"),
            ("core.clock_hz.value", "800 MHz", "write 8e+08"),
            ("capacity_bytes", "16 MiB", "write 16777216"),
            ("capacity_bytes", "16 MB", "write 1.6e+07"),
            ("capacity_bytes", "512 kB", "write 512000"),
            ("bandwidth_bytes_per_s", "150 GB/s", "write 1.5e+11"),
            ("read_energy_pj", "5 pJ", "write 5"),
            ("energy_pj_per_mac", "0.2 nJ", "write 200"),
            ("area_um2", "3 mm2", "write 3e+06"),
            ("latency_s", "20 ms", "write 0.02"),
            ("latency_s", "20 µs", "write 2e-05"),
            ("voltage_v", "750 mV", "write 0.75"),
            ("leakage_w", "3 W", "write 3"),
            ("clock_hz", "3 ns", "write the number alone"),
            ("clock_hz", "3 parsecs", "write the number alone"),
            ("clock_hz", "1.2.3 GHz", None),
            ("ratio", "3 kHz", "write 3000"),
        ],
    )
    def test_remedy_for_a_unit(self, field, text, remedy):
        rule, advice = number_complaint(text, field)
        assert rule == "must be a plain number: the unit is in the field's name"
        assert advice == remedy

    @pytest.mark.parametrize("data", ["", "abc", "50 %", "GHz", "1,5", [], {}, None, True, b"1"])
    def test_no_quantity(self, data):
        assert number_complaint(data, "clock_hz") == ("must be a number", None)

    @settings(max_examples=300, deadline=None)
    @given(structures, st.text(max_size=20))
    def test_any_complaint(self, data, field):
        rule, _ = number_complaint(data, field)
        assert rule

    @settings(max_examples=400, deadline=None)
    @given(
        st.dictionaries(
            st.sampled_from([*Chip.model_fields, "other"]),
            structures
            | st.dictionaries(st.sampled_from(["kind", "hops", "columns", "core", "clock_hz"]), structures)
            | st.fixed_dictionaries({"kind": st.sampled_from(["ring", "mesh", "bus"])}, optional={"hops": scalars}),
            max_size=3,
        )
    )
    def test_any_structure(self, data):
        with contextlib.suppress(InputError):
            validated(Chip, data, file="fuzz")


class TestConstant:
    adapter = TypeAdapter(Constant)

    def test_published(self):
        constant = self.adapter.validate_python({"value": 3, "source": "a paper"})
        assert constant.value == 3.0
        assert not constant.assumed
        assert constant.replaced(4.0) == Constant(value=4, source="override")

    @pytest.mark.parametrize("source", ["assumed", "Assumed", "assumed: so", " assumed", "assumed (by analogy)"])
    def test_assumed_needs_a_range_and_a_reason(self, source):
        assert "is assumed without a range and a reason" in str(_bad({"value": 1, "source": source}))
        whole = {"value": 1, "source": source, "low": 0, "high": 2, "why": "because"}
        assert self.adapter.validate_python(whole).assumed
        assert "is assumed without" in str(_bad({**whole, "why": ""}))

    @pytest.mark.parametrize("source", ["assumedly read", "a paper; assumed"])
    def test_other_sources(self, source):
        assert not self.adapter.validate_python({"value": 1, "source": source}).assumed

    @pytest.mark.parametrize(
        ("change", "rule"),
        [
            ({"low": None}, "only one end"),
            ({"high": None}, "only one end"),
            ({"low": 2}, "outside of its range [2, 2]"),
            ({"high": 0.5}, "outside of its range [0, 0.5]"),
            ({"low": 5, "high": -5}, "outside of its range"),
            ({"value": "1"}, "must be a number"),
            ({"low": True}, "must be a number"),
            ({"source": 3}, "must be a valid string"),
        ],
    )
    def test_rules(self, change, rule):
        assert rule in str(_bad({"value": 1, "low": 0, "high": 2, "source": "x", **change}))

    @settings(max_examples=200, deadline=None)
    @given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
    def test_value_lies_in_its_range_or_is_refused(self, value, low, high):
        data = {"value": value, "low": low, "high": high, "source": "x"}
        if low <= value <= high:
            assert Constant(**data).low == low
        else:
            assert "outside of its range" in str(_bad(data))

    @pytest.mark.parametrize(
        ("kind", "good", "bad"),
        [
            (Positive, [1e-9, 3], [0, -1]),
            (NonNegative, [0, 3], [-1e-9]),
            (Count, [1, 3.0], [0, 1.5, -1]),
            (Share, [1e-3, 1], [0, 1.001, -1]),
        ],
    )
    def test_kinds(self, kind, good, bad):
        adapter = TypeAdapter(kind)
        for value in good:
            assert adapter.validate_python({"value": value, "source": "x"}).value == value
        for value in bad:
            with pytest.raises(ValidationError):
                adapter.validate_python({"value": value, "source": "x"})
            low, high = min(value, good[-1]), max(value, good[-1])
            with pytest.raises(ValidationError):  # an end of the range breaks the rule too
                adapter.validate_python({"value": good[-1], "low": low, "high": high, "source": "x"})


def _bad(data) -> InputError:
    return refused(validated, Constant, data, file="constant")


class TestBundledFolder:
    @pytest.mark.parametrize("kind", ["architectures", "workloads"])
    def test_exists(self, kind):
        assert list(bundled_folder(kind).iterdir())

    def test_the_installed_one_comes_first(self, monkeypatch, tmp_path):
        package = tmp_path / "root" / "accelsim"
        (package / "bundled" / "workloads").mkdir(parents=True)
        (package.parent / "workloads").mkdir()
        monkeypatch.setattr(documents, "__file__", str(package / "documents.py"))
        assert bundled_folder("workloads") == package / "bundled" / "workloads"
        (package / "bundled" / "workloads").rmdir()
        assert bundled_folder("workloads") == package.parent / "workloads"
        (package.parent / "workloads").rmdir()
        assert "install accelsim again" in refused(bundled_folder, "workloads").remedy
