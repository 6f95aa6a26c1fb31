"""The loop, clocks, network model, backends, bus, recording and command line."""
