"""TOLD: from a plan to the status that the API server keeps. Pure."""
