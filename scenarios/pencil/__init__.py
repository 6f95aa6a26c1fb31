"""A rod balanced on an x-y stage from the events of two cameras."""
