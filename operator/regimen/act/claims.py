"""Who holds which version of a model: the claims in the bucket, each read once."""

from collections.abc import Callable
from itertools import count

from regimen.act.parts import document
from regimen.spec.artifacts import Claim, claim_key
from regimen.store import Store


class Claims:
    """Reads claims. Whom a version belongs to does not change while its job exists, so what was read is kept to save asking again.

    A claim that has gone meanwhile only means that its number is passed over.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._holders: dict[str, str] = {}
        """uid of the job, by key of the claim."""

    def of(self, namespace: str, model: str, version: str) -> Claim | None:
        """As it is now."""
        key = claim_key(namespace, model, version)
        claim = document(self.store, key, Claim)
        if claim is not None:
            self._holders[key] = claim.uid
        return claim

    def next_minor(self, namespace: str, model: str, uid: str, is_free: Callable[[str], bool]) -> tuple[str, Claim | None]:
        """The version that the job holds, else the first that nobody holds and that is free otherwise, too."""
        for minor in count():
            version = f"v1.{minor}"
            if self._holders.get(claim_key(namespace, model, version), uid) != uid:
                continue
            claim = self.of(namespace, model, version)
            if (claim is None and is_free(version)) or (claim is not None and claim.uid == uid):
                return version, claim
        raise AssertionError("there is always a next number")
