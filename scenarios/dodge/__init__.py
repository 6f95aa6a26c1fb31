"""Dodge: a hovering quadrotor sees balls coming at it and gets out of their way."""
