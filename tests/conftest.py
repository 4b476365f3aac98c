"""Registers the plugins of the tests."""

from hypothesis import settings

pytest_plugins = ["tests.cluster.plugin"]

# How long an example may take says more about the machine than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
