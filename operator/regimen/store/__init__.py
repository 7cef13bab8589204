"""The bucket: the only room that talks to S3. Used by the operator and by every image.

It knows bytes, digests and conditional writes; what the documents mean is `regimen.spec.artifacts`.
"""

from regimen.store.s3 import (
    AlreadyExistsError,
    ConditionalWritesUnsupportedError,
    DigestMismatchError,
    NotFoundError,
    Store,
    StoreError,
    StoreUnavailableError,
    split_uri,
)

__all__ = [
    "AlreadyExistsError",
    "ConditionalWritesUnsupportedError",
    "DigestMismatchError",
    "NotFoundError",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "split_uri",
]
