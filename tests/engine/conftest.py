"""No property test may fail for being slow: the first example of a run may wait for a kernel to compile."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
