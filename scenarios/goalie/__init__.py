"""Goalie: a paddle before a goal stops balls that an event camera sees coming."""
