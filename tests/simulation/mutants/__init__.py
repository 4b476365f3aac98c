"""Planted bugs: each a one-line patch of the engine that the simulation must find."""
