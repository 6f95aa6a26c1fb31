"""Where events and readings come from, and their encoders into spikes."""
