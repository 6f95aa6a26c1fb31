"""Decoders from spikes to commands, the safety gate, the devices that move."""
