"""One folder a scenario: scenario.yaml, world.py, its network."""
