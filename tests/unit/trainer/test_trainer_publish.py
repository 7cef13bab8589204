"""Publication: files first, the manifest last and once, the record of the spec at the very end."""

from pathlib import Path

import pytest

from regimen.spec.artifacts import Artifact, DatasetManifest, dataset_prefix, prepared_key
from regimen.spec.tasks import PrepareTask
from regimen.store import AlreadyExistsError, NotFoundError
from regimen_trainer.data import publish
from regimen_trainer.data.local import default_spec
from regimen_trainer.data.surrogates import SurrogateTable
from regimen_trainer.errors import InputError, TrainerError
from regimen_trainer.generator.write import write_all


class Bucket:
    """A bucket in memory that remembers the order of writes; downloads serve the generated exports."""

    def __init__(self, raw: Path) -> None:
        self.raw, self.objects, self.writes = raw, dict[str, bytes](), list[str]()

    def put(self, key: str, data: bytes) -> None:
        self.objects[key] = data
        self.writes.append(key)

    def put_once(self, key: str, data: bytes) -> None:
        if key in self.objects and self.objects[key] != data:
            raise AlreadyExistsError(key)
        self.put(key, data)

    def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise NotFoundError(key)
        return self.objects[key]

    def upload(self, path: Path, key: str, name: str) -> Artifact:
        self.put(key, path.read_bytes())
        return Artifact(path=name, uri=f"s3://b/{key}", sha256="0" * 64, bytes=path.stat().st_size)

    def download(self, uri: str, path: Path) -> str:
        source = self.raw / uri.rsplit("/", 1)[1]
        if not source.exists():
            raise NotFoundError(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())
        return ""


def task(name: str = "historical_claims.csv") -> PrepareTask:
    document = default_spec(["claims"], 0.2, 1, ["patient_name"]).model_dump(by_alias=True)
    document["sources"]["claims"]["csv"] = [{"uri": f"s3://b/raw/{name}"}]
    return PrepareTask.model_validate({"namespace": "n", "dataset": "business", "spec": document, "specHash": "abc"})


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    write_all(tmp_path / "raw", 120, 0, 5)
    return Bucket(tmp_path / "raw")


def test_manifest_is_written_after_the_files_and_the_spec_record_last(bucket: Bucket, tmp_path: Path) -> None:
    publish.run(task(), bucket, tmp_path / "scratch")  # type: ignore[arg-type]
    manifest = DatasetManifest.model_validate_json(bucket.get(prepared_key("n", "business", "abc")))
    prefix = dataset_prefix("n", "business", manifest.digest)
    assert bucket.writes[-1] == prepared_key("n", "business", "abc")
    assert bucket.writes[-2] == prefix + "manifest.json"
    assert set(bucket.writes[-2 - len(manifest.files) : -2]) == {prefix + file.path for file in manifest.files}
    assert {task.name for task in manifest.tasks} == {"medicalAnalysis", "adjudication"}


def test_same_rows_make_no_new_revision(bucket: Bucket, tmp_path: Path) -> None:
    publish.run(task(), bucket, tmp_path / "one")  # type: ignore[arg-type]
    first, written = bucket.get(prepared_key("n", "business", "abc")), len(bucket.writes)
    publish.run(task(), bucket, tmp_path / "two")  # type: ignore[arg-type]
    assert bucket.get(prepared_key("n", "business", "abc")) == first
    assert bucket.writes[written:] == [prepared_key("n", "business", "abc")]


def test_missing_file_names_the_field(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sources\.claims\.csv\[0\]\.uri"):
        publish.run(task("other.csv"), bucket, tmp_path)  # type: ignore[arg-type]


def test_surrogates_of_another_run_are_not_overwritten(bucket: Bucket) -> None:
    ours, theirs = SurrogateTable.empty(), SurrogateTable.empty()
    bucket.put("table", theirs.to_json())
    with pytest.raises(TrainerError, match="try again"):
        publish.save_table(bucket, "table", ours, ours)  # type: ignore[arg-type]
