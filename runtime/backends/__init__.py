"""Backends: what can run a network. `base` is the contract."""
