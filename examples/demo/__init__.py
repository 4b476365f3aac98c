"""The demo: a real fleet, applied with kubectl to a real API server, with its nodes simulated."""
