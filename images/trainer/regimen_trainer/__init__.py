"""What runs in the trainer image: generate, prepare, train, convert, evaluate, import.

It knows the task documents (`regimen.spec.tasks`), the bucket's layout (`regimen.spec.artifacts`) and the bucket (`regimen.store`), and
nothing of Kubernetes. Heavy libraries are imported by the stage that needs them, so that `generate` and `prepare` run with the `data`
extra alone.
"""
