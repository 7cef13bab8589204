"""Publication: the memory before the files, the manifest after them and once, the record of the spec at the very end."""

from pathlib import Path

import pytest

from regimen.spec.artifacts import Artifact, DatasetManifest, dataset_prefix, memory_prefix, prepared_key
from regimen.spec.tasks import PrepareTask
from regimen.store import AlreadyExistsError, NotFoundError
from regimen_trainer.data import publish
from regimen_trainer.data.local import default_spec
from regimen_trainer.errors import InputError, TrainerError
from regimen_trainer.generator.write import write_all

PREPARED = prepared_key("n", "business", "abc")
MEMORY = memory_prefix("n", "business")


class Bucket:
    """A bucket in memory that remembers the order of writes; addresses below raw/ are the generated exports."""

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

    def exists(self, key: str) -> bool:
        return key in self.objects

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    def uri(self, key: str) -> str:
        return f"s3://b/{key}"

    def matching(self, uri: str) -> dict[str, str]:
        return {f"s3://b/raw/{path.name}": "tag" for path in sorted(self.raw.glob(uri.removeprefix("s3://b/raw/")))}

    def upload(self, path: Path, key: str, name: str) -> Artifact:
        self.put(key, path.read_bytes())
        return Artifact(path=name, uri=f"s3://b/{key}", sha256="0" * 64, bytes=path.stat().st_size)

    def download(self, uri: str, path: Path) -> str:
        key = uri.removeprefix("s3://b/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((self.raw / key.removeprefix("raw/")).read_bytes() if key.startswith("raw/") else self.get(key))
        return ""


def task(*patterns: str, golden: str = "") -> PrepareTask:
    document = default_spec(["claims"], {"testFraction": 0.2, "seed": 1}, ["patient_name"]).model_dump(by_alias=True)
    document["sources"]["claims"]["csv"] = [{"uri": f"s3://b/raw/{pattern}"} for pattern in patterns or ("historical_claims.csv",)]
    document["sources"]["claims"]["golden"] = [{"uri": f"s3://b/raw/{golden}"}] if golden else []
    return PrepareTask.model_validate({"namespace": "n", "dataset": "business", "spec": document, "specHash": "abc"})


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    write_all(folder, 120, 0, 5)
    return folder


@pytest.fixture
def bucket(raw: Path) -> Bucket:
    return Bucket(raw)


def prepared(bucket: Bucket, scratch: Path, *patterns: str, golden: str = "") -> DatasetManifest:
    publish.run(task(*patterns, golden=golden), bucket, scratch)  # type: ignore[arg-type]
    return DatasetManifest.model_validate_json(bucket.get(PREPARED))


def test_memory_is_written_first_then_the_files_the_manifest_and_the_record_of_the_spec(bucket: Bucket, tmp_path: Path) -> None:
    manifest = prepared(bucket, tmp_path)
    prefix = dataset_prefix("n", "business", manifest.digest)
    memory = [key.startswith(MEMORY) for key in bucket.writes]
    assert memory == sorted(memory, reverse=True)
    assert bucket.writes[sum(memory) - 1] == f"{MEMORY}generation-000001.json"
    assert bucket.writes[-2:] == [f"{prefix}manifest.json", PREPARED]
    assert set(bucket.writes[sum(memory) : -2]) == {prefix + file.path for file in manifest.files}
    assert {entry.name for entry in manifest.tasks} == {"medicalAnalysis", "adjudication"}


def test_same_rows_make_no_new_revision_and_no_new_memory(bucket: Bucket, tmp_path: Path) -> None:
    first = prepared(bucket, tmp_path / "one")
    written = len(bucket.writes)
    assert prepared(bucket, tmp_path / "two") == first
    assert bucket.writes[written:] == [PREPARED]


def test_what_was_learned_is_there_for_the_next_pod(bucket: Bucket, tmp_path: Path) -> None:
    prepared(bucket, tmp_path / "one")
    train = {key.rpartition("/")[2]: data for key, data in bucket.objects.items() if key.endswith("_train.jsonl")}
    lines = (bucket.raw / "historical_claims.csv").read_text().splitlines(keepends=True)
    (bucket.raw / "more_claims.csv").write_text(lines[0] + "NEW-1" + lines[-1][lines[-1].index(",") :])
    second = prepared(bucket, tmp_path / "two", "historical_claims.csv", "more_*.csv")
    (bucket.raw / "more_claims.csv").unlink()
    after = {key.rpartition("/")[2]: bucket.objects[key] for key in bucket.keys(dataset_prefix("n", "business", second.digest))}
    assert all(after[name].startswith(data) for name, data in train.items())
    assert f"{MEMORY}generation-000002.json" in bucket.objects


@pytest.mark.parametrize(
    ("patterns", "golden", "field"), [(["other.csv"], "", "csv[0]"), (["*.csv", "no-*.csv"], "", "csv[1]"), ([], "g.csv", "golden[0]")]
)
def test_missing_file_names_the_field(bucket: Bucket, tmp_path: Path, patterns: list[str], golden: str, field: str) -> None:
    with pytest.raises(InputError) as caught:
        prepared(bucket, tmp_path, *patterns, golden=golden)
    name = golden or patterns[-1]
    assert str(caught.value) == f"sources.claims.{field}.uri: s3://b/raw/{name} does not exist; upload it or correct the address"
    assert not bucket.writes


def test_memory_of_another_run_is_not_overwritten(bucket: Bucket, tmp_path: Path) -> None:
    first = task()
    mine = publish.recall(first, bucket, tmp_path / "mine")  # type: ignore[arg-type]
    theirs = publish.recall(first, bucket, tmp_path / "theirs")  # type: ignore[arg-type]
    for memory in (mine, theirs):
        memory.published("sha256:1")
    publish.remember(first, bucket, theirs)  # type: ignore[arg-type]
    written = list(bucket.writes)
    with pytest.raises(TrainerError, match="another preparation of this dataset changed its memory; try again"):
        publish.remember(first, bucket, mine)  # type: ignore[arg-type]
    assert bucket.writes == written
