"""The paper's figures from logged runs: ``reproduce figures``."""
