"""Registers the plugins of the tests."""

pytest_plugins = ["tests.cluster.plugin"]
