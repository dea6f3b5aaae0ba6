"""Sweeps: many designs from one file, evaluated, stored and searched."""
