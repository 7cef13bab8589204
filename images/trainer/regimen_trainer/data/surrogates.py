"""Random surrogates for identifiers, the same for the same value in every revision.

Surrogates are drawn at random, not derived from the value, so that they can't be computed back. The table keeps a keyed hash of each
value and not the value. Key and hashes together still link values to surrogates: the table is as restricted as the export itself.
"""

import hmac
import json
import secrets
from hashlib import sha256
from typing import Self

from regimen_trainer.errors import InputError

LENGTH = 8


class SurrogateTable:
    """Values to surrogates; grows as values are met."""

    def __init__(self, key: bytes, surrogates: dict[str, str]) -> None:
        self._key = key
        self._surrogates = surrogates
        self._taken = set(surrogates.values())
        self.grown = False

    @classmethod
    def empty(cls) -> Self:
        return cls(secrets.token_bytes(32), {})

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Raises InputError where the document isn't a table: guessing would give known people new surrogates."""
        try:
            document = json.loads(data)
            return cls(bytes.fromhex(document["key"]), dict(document["surrogates"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("the surrogate table is damaged; restore it from a backup, or remove it to start anew") from error

    def to_json(self) -> bytes:
        return json.dumps({"key": self._key.hex(), "surrogates": self._surrogates}, sort_keys=True).encode()

    def of(self, kind: str, value: str) -> str:
        """The surrogate of a value of a kind (a column's name); drawn when first met. Case and outer spaces do not matter."""
        entry = hmac.new(self._key, f"{kind}\0{value.strip().casefold()}".encode(), sha256).hexdigest()
        if entry not in self._surrogates:
            self._surrogates[entry] = self._draw()
            self.grown = True
        return self._surrogates[entry]

    def _draw(self) -> str:
        while (surrogate := secrets.token_hex(LENGTH // 2)) in self._taken or surrogate.isdigit():
            pass
        self._taken.add(surrogate)
        return surrogate

    def merged(self, other: "SurrogateTable") -> bool:
        """Whether `other` holds every surrogate of this table, so that writing it loses nothing."""
        return self._key == other._key and self._surrogates.items() <= other._surrogates.items()
