"""Gaze: a pan-tilt head turns towards where an attached event camera sees motion."""
