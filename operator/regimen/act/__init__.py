"""DONE: the only room that talks to Kubernetes, to routers and to the feedback service; to the bucket through `regimen.store`."""
