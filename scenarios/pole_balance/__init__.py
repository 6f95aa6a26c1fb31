"""Balance a pole on a cart from what an event camera sees."""
