"""kopf wiring only: what is watched, and how an event becomes a pass."""
