"""Number formats: what a stored element costs in bits, and which unit computes it."""

from accelsim.numerics.formats import FORMATS, Float, Format, Integer, format_named

__all__ = ["FORMATS", "Float", "Format", "Integer", "format_named"]
