"""What can go wrong while the operator acts.

    RegimenError
    ├── ClusterError                the API server
    │   ├── ConflictError           somebody else changed the object first; look again
    │   ├── RefusedError            the API server refuses the object: a bug of ours, or a policy of the cluster's
    │   └── ClusterUnavailableError cannot be reached, or overloaded; try again
    └── ConfigurationError          the operator's own environment

The bucket's errors are `regimen.store.StoreError`.
"""


class RegimenError(Exception):
    """Anything that went wrong while the operator acts."""


class ClusterError(RegimenError):
    """The API server."""


class ConflictError(ClusterError):
    """Somebody else changed the object first."""


class RefusedError(ClusterError):
    """The API server refuses the object."""


class ClusterUnavailableError(ClusterError):
    """The API server cannot be reached, or is overloaded."""


class ConfigurationError(RegimenError):
    """The operator's own environment."""
