"""``reproduce bench``: time and memory as ratios, measured in one process and in turn."""
