"""An operator that runs fleets of AI agents on Kubernetes."""
