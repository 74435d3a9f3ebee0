"""Measurements against peers and limits; `make bench` runs them all, `make bench ONLY=payload` one group."""
