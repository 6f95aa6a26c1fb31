"""Lane-keep: a car learns by reward to stay in its lane, from the events of its camera."""
