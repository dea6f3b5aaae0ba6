"""The `aimc` kind: tiles of resistive devices that multiply in place, converters, digital units and a mesh."""

from accelsim.hardware.aimc.description import AimcArchitecture
from accelsim.hardware.aimc.tile import Conversion, ReadMode, ReadPhase, Tile

__all__ = ["AimcArchitecture", "Conversion", "ReadMode", "ReadPhase", "Tile"]
