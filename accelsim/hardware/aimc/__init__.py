"""The `aimc` kind: tiles of resistive devices that multiply in place, converters, digital units and a mesh."""

from accelsim.hardware.aimc.description import AimcArchitecture
from accelsim.hardware.aimc.parts import Part, Supply
from accelsim.hardware.aimc.reading import Conversion, ReadMode, ReadPhase
from accelsim.hardware.aimc.tile import Tile

__all__ = ["AimcArchitecture", "Conversion", "Part", "ReadMode", "ReadPhase", "Supply", "Tile"]
