"""The schema of the `aimc` kind: tiles on a mesh, digital units beside them, matrix cores where there are some."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from accelsim.documents import Authored, Constant, Count, NonNegative, Positive
from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.aimc.tile import Tile
from accelsim.hardware.description import Description
from accelsim.hardware.digital import Derivable, FormatName

__all__ = ["ANALOG", "AimcArchitecture", "CoreUnit", "DigitalUnits", "MatrixCores", "Mesh", "OffChip"]

ANALOG = "analog"
"""The precision of matrix work on tiles, whose values are neither integers nor floats."""
_MOST_TILES = 100_000
_STORED, _WIDEST = (("int4", 4), ("int8", 8)), "fp16"


def _few(constant: Constant) -> Constant:
    if max(end for end in (constant.value, constant.high) if end is not None) > _MOST_TILES:
        raise ValueError(f"must be at most {_MOST_TILES:,}")
    return constant


Number = Annotated[Count, AfterValidator(_few)]


class Mesh(Authored):
    """A two-dimensional mesh of tiles; the routers of several chips stand side by side.

    ``link_bytes_per_s`` is one direction of a link, and what a tile receives.
    """

    rows: Number
    columns: Number
    link_bytes_per_s: Positive
    hop_latency_s: NonNegative
    energy_pj_per_byte_hop: NonNegative


class DigitalUnits(Authored):
    """Lanes for everything that is not matrix work, in ``count`` units; ``special`` is an exp or division."""

    count: Number
    lanes: Number
    clock_hz: Positive
    format: FormatName
    cycles_simple: Positive
    cycles_special: Positive
    energy_pj_simple: Derivable
    energy_pj_special: Derivable
    area_mm2: NonNegative


class CoreUnit(Authored):
    """What one processing element of a digital core does in a cycle with one format."""

    macs_per_pe: Count
    energy_pj_per_mac: Derivable


class MatrixCores(Authored):
    """Digital matrix cores beside the tiles: weight-stationary arrays of ``rows`` by ``columns`` elements.

    Weights that fit ``weight_memory_bytes`` of all cores stay there; others come over the link off the chip.
    """

    count: Number
    rows: Count
    columns: Count
    clock_hz: Positive
    units: dict[FormatName, CoreUnit] = Field(min_length=1)
    weight_memory_bytes: NonNegative
    memory_energy_pj_per_byte: Derivable
    area_mm2: NonNegative


class OffChip(Authored):
    """The link over which inputs come, outputs leave, and weights of digital cores that do not fit are read.

    ``area_mm2`` is what its end takes of all chips.
    """

    bandwidth_bytes_per_s: Positive
    latency_s: NonNegative
    energy_pj_per_byte: NonNegative
    area_mm2: NonNegative | None = None


class AimcArchitecture(Description):
    """Analog tiles on a mesh.

    ``chips`` equal chips are joined into one mesh. With ``technology`` the ADC regression and the published tables
    supply the energies and areas that are left out; without it every constant must be stated.
    """

    kind: Literal["aimc"]
    technology: Literal["published"] | None = None
    node_nm: Positive
    chips: Number
    mesh: Mesh
    tile: Tile
    digital: DigitalUnits
    cores: MatrixCores | None = None
    off_chip: OffChip
    leakage_w: NonNegative
    area_mm2: Positive | None = None

    @property
    def n_tiles(self) -> int:
        """Tiles of all chips."""
        return int(self.chips.value * self.mesh.rows.value * self.mesh.columns.value)

    @property
    def default_precision(self) -> str:
        return ANALOG

    @property
    def value_format(self) -> str:
        return self.digital.format

    @property
    def activation_format(self) -> str:
        """Format in which what a tile reads, and its weights off the chip, are stored: as wide as its inputs."""
        return next((name for name, bits in _STORED if self.tile.mode.input_bits.value <= bits), _WIDEST)

    @property
    def mvm_macs(self) -> int:
        """MACs of one product of a full tile."""
        return self.tile.inputs * self.tile.outputs

    @property
    def peak_ops_per_s(self) -> float:
        """Operations a second, two a MAC, with every tile full and busy."""
        return 2.0 * self.n_tiles * self.mvm_macs / self.tile.interval_s(self.tile.outputs)

    @property
    def peak_power_w(self) -> float:
        """Watts with every tile full and busy, and leakage."""
        product_j = sum(self.tile.product_pj(self.tile.full_use).values()) * 1e-12
        busy_w = self.n_tiles * product_j / self.tile.interval_s(self.tile.outputs)
        return busy_w + self.total_leakage_w

    @property
    def total_leakage_w(self) -> float:
        """Watts that leak whatever is done: of the tiles' circuits, and of all else."""
        return self.n_tiles * sum(self.tile.leaking_w.values()) + self.leakage_w.value

    def core_ops_per_s(self, format_name: str) -> float:
        """Peak operations a second of the digital cores in one format; 0 where they have none."""
        cores = self.cores
        if cores is None or format_name not in cores.units:
            return 0.0
        pes = cores.count.value * cores.rows.value * cores.columns.value
        return 2.0 * pes * cores.units[format_name].macs_per_pe.value * cores.clock_hz.value

    def peaks(self) -> dict[str, dict[str, float]]:
        """Operations a second and a joule by precision: of full tiles with leakage, and of the cores' MACs alone."""
        found = {ANALOG: {"ops_per_s": self.peak_ops_per_s, "ops_per_joule": self.peak_ops_per_s / self.peak_power_w}}
        for name, unit in (self.cores.units if self.cores else {}).items():
            joules = unit.energy_pj_per_mac.value * 1e-12 / 2
            found[name] = {"ops_per_s": self.core_ops_per_s(name), "ops_per_joule": 1 / joules if joules else 0.0}
        return found

    def check_rules(self, file: object) -> None:
        """The read mode, device and crossbar model exist; a weight fits a tile; tiles are not too many."""
        from accelsim.numerics.analog import CROSSBARS, DEVICES

        tile = self.tile
        for name, field, known in (
            (tile.read_mode, "tile.read_mode", tile.read_modes),
            (tile.crossbar.device, "tile.crossbar.device", DEVICES),
            (tile.crossbar.model, "tile.crossbar.model", CROSSBARS),
        ):
            if name not in known:
                raise UnknownNameError(field.split(".")[-1].replace("_", " "), name, known, file=file, field=field)
        for side, lines, held in (("rows", tile.rows, tile.inputs), ("columns", tile.columns, tile.outputs)):
            if held < 1:
                raise InputError("holds no whole weight", file=file, field=f"tile.{side}", value=int(lines.value),
                                 remedy="give more lines, or fewer cells a weight")  # fmt: skip
        if tile.crossbar.mean_passes.value < 1:
            raise InputError("must be 1 or more", file=file, field="tile.crossbar.mean_passes",
                             value=tile.crossbar.mean_passes.value)  # fmt: skip
        if self.n_tiles > _MOST_TILES:
            raise InputError(f"makes {self.n_tiles:,} tiles, above the limit of {_MOST_TILES:,}", file=file,
                             field="mesh", remedy="lower chips, rows or columns")  # fmt: skip

    def completed(self, file: object) -> tuple[AimcArchitecture, frozenset[str]]:
        """With what ``technology`` supplies; see `aimc.derive.completed`."""
        from accelsim.hardware.aimc import derive

        return derive.completed(self, file)
