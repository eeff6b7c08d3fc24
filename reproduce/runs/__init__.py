"""Runs: identity, records, planning, launching, execution."""
