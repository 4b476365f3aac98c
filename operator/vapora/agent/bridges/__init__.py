"""Agents that are no Python: a command, an HTTP endpoint, an A2A agent."""
