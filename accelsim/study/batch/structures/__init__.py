"""Designs of different structure, each with a mapping of its own, in compiled code."""
