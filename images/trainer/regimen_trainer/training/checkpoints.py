"""Checkpoints of a training in the bucket, or in a folder: complete or absent, and the newest whole one is used.

    <prefix><attempt>/<step>/adapter_model.safetensors, …    first
    <prefix><attempt>/<step>/checkpoint.json                 last; its digests say whether the files are whole

It knows files and manifests; what the files mean is `state`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from regimen.spec.artifacts import Artifact, CheckpointManifest
from regimen.store import DigestMismatchError, NotFoundError
from regimen_trainer.training.memory import AtOnce

MANIFEST = "checkpoint.json"


class Depot(Protocol):
    """Where checkpoints are kept: the bucket (`regimen.store.Store`), or a folder. All raise StoreError."""

    def keys(self, prefix: str) -> list[str]: ...

    def get(self, key: str) -> bytes: ...

    def put_once(self, key: str, data: bytes) -> None: ...

    def upload(self, path: Path, key: str, name: str) -> Artifact: ...

    def download(self, uri: str, path: Path, digest: str | None = None) -> str: ...

    def delete(self, key: str) -> None: ...


@dataclass
class Checkpoints:
    """The checkpoints of one training, those of all its attempts."""

    depot: Depot
    prefix: str
    attempt: str
    keep: int
    recipe: str
    say: Callable[[str], None]
    _damaged: set[str] = field(default_factory=set, init=False)

    def put(self, folder: Path, step: int, total_steps: int, way: AtOnce) -> None:
        """Upload the files of a folder as the checkpoint of a step, then let go of those that are no longer kept."""
        place = f"{self.prefix}{self.attempt}/{step}/"
        files = [self.depot.upload(path, f"{place}{path.name}", path.name) for path in sorted(folder.iterdir())]
        manifest = CheckpointManifest(
            step=step,
            total_steps=total_steps,
            attempt=self.attempt,
            micro_batch=way.micro_batch,
            activation_checkpointing=way.activation_checkpointing,
            recipe=self.recipe,
            files=files,
            at=datetime.now(UTC),
        )
        self.depot.put_once(f"{place}{MANIFEST}", manifest.model_dump_json(by_alias=True).encode())
        self._prune()

    def newest(self, folder: Path) -> CheckpointManifest | None:
        """Download the newest whole checkpoint of this recipe into `folder`; a damaged one is said and passed over."""
        for key, manifest in self._usable(self._manifests()):
            try:
                for file in manifest.files:
                    self.depot.download(file.uri, folder / file.path, file.sha256)
            except (DigestMismatchError, NotFoundError) as error:
                self._pass_over(key, type(error).__name__)
                continue
            return manifest
        return None

    def has_others(self) -> bool:
        """Whether there are checkpoints of another recipe."""
        return any(manifest.recipe != self.recipe for manifest in self._manifests().values())

    def remove(self) -> None:
        """Remove all that is there."""
        self._delete(self.depot.keys(self.prefix))

    def _manifests(self) -> dict[str, CheckpointManifest]:
        """Manifests that can be read, by key."""
        found = {}
        for key in self.depot.keys(self.prefix):
            if key.endswith(f"/{MANIFEST}") and key not in self._damaged:
                try:
                    found[key] = CheckpointManifest.model_validate_json(self.depot.get(key))
                except NotFoundError:
                    continue  # let go of by another attempt meanwhile
                except ValidationError:
                    self._pass_over(key, "unreadable manifest")
        return found

    def _usable(self, manifests: Mapping[str, CheckpointManifest]) -> list[tuple[str, CheckpointManifest]]:
        """Those of this recipe, the furthest first."""
        own = [item for item in manifests.items() if item[1].recipe == self.recipe]
        return sorted(own, key=lambda item: (item[1].step, item[1].at), reverse=True)

    def _pass_over(self, key: str, why: str) -> None:
        self._damaged.add(key)
        self.say(f"checkpoint {key.removeprefix(self.prefix).removesuffix(f'/{MANIFEST}')} is damaged ({why}); taking the one before it")

    def _prune(self) -> None:
        """Delete checkpoints that are no longer kept, and what never became one and lies behind those that are.

        What another attempt is uploading ahead of them is left alone.
        """
        manifests = self._manifests()
        kept = self._usable(manifests)[: self.keep]
        places = {key.removesuffix(MANIFEST) for key, _ in kept}
        ended = {key.removesuffix(MANIFEST) for key in (*manifests, *self._damaged)}
        oldest = min(manifest.step for _, manifest in kept)
        found = ((key, f"{key.rpartition('/')[0]}/") for key in self.depot.keys(self.prefix))
        self._delete([key for key, place in found if place not in places and (place in ended or self._step_of(place) < oldest)])

    def _step_of(self, place: str) -> int:
        return int(place.removeprefix(self.prefix).split("/")[1])

    def _delete(self, keys: Iterable[str]) -> None:
        """Manifests first: what is half deleted is no checkpoint."""
        for key in sorted(keys, key=lambda key: not key.endswith(f"/{MANIFEST}")):
            self.depot.delete(key)
