"""Who holds which version of a model: the claims in the bucket, each read once."""

from regimen.act.parts import document
from regimen.spec.artifacts import Claim, claim_key
from regimen.store import Store, split_uri


class Claims:
    """Reads the claims of a model. What was read is kept by its entity tag, which changes with the content."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read: dict[tuple[str, str], Claim] = {}

    def of(self, namespace: str, model: str) -> dict[str, Claim]:
        """Claims by version."""
        found = {}
        for uri, tag in self.store.matching(self.store.uri(claim_key(namespace, model, "*"))).items():
            claim = self._read.get((uri, tag)) or document(self.store, split_uri(uri)[1], Claim)
            if claim is not None:
                self._read[uri, tag] = claim
                found[uri.split("/")[-2]] = claim
        return found
