"""One HTML page of all tables and their runs: ``reproduce report``."""
