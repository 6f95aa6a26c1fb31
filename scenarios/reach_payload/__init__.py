"""Reach with an arm that is handed a load nobody told its controller of."""
