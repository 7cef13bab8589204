"""Fetching from a hub: cut and continued, verified, and refused with the field that is wrong. The hub is a double on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_server import COMMIT, HubServer, Repo, hub_server, llama
from regimen_trainer.errors import InputError, TrainerError
from regimen_trainer.hub import Hub, HubError, HubFile, Revision, _enough_space

SHARD = "model-00001-of-00002.safetensors"


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub_server(base=Repo(llama()), gated=Repo(llama(), gated=True)) as running:
        yield running


def client(server: HubServer, token: str | None = None, pauses: list[float] | None = None) -> Hub:
    kept = pauses if pauses is not None else []
    return Hub(server.endpoint, token, pause=kept.append)


def shard_of(revision: Revision) -> HubFile:
    return next(file for file in revision.files if file.path == SHARD)


def test_a_revision_says_commit_license_sizes_and_digests(server: HubServer) -> None:
    found = client(server).revision("owner/base", "main")
    assert (found.commit, found.license) == (COMMIT, "apache-2.0")
    assert shard_of(found).bytes == len(llama()[SHARD])
    assert shard_of(found).sha256 is not None
    assert next(file for file in found.files if file.path == "config.json").blob is not None


def test_a_cut_transfer_goes_on_where_it_was(server: HubServer, tmp_path: Path) -> None:
    server.cuts = [1000, 500]
    pauses: list[float] = []
    hub = client(server, pauses=pauses)
    revision = hub.revision("owner/base", COMMIT)
    seen: list[int] = []
    path = hub.fetch(revision, shard_of(revision), tmp_path, seen.append)
    assert path.read_bytes() == llama()[SHARD]
    assert server.asked(SHARD) == [None, "bytes=1000-", "bytes=1500-"]
    assert sum(server.sent.values()) == len(llama()[SHARD]), "no byte is sent twice"
    assert sum(seen) == len(llama()[SHARD])
    assert pauses == [2.0, 2.0], "every new byte makes the hub good again"


def test_what_another_process_left_is_continued(server: HubServer, tmp_path: Path) -> None:
    whole = llama()[SHARD]
    (tmp_path / f"{SHARD}.partial").write_bytes(whole[:2000])
    hub = client(server)
    revision = hub.revision("owner/base", COMMIT)
    assert hub.fetch(revision, shard_of(revision), tmp_path).read_bytes() == whole
    assert server.asked(SHARD) == ["bytes=2000-"]


def test_a_hub_without_ranges_sends_the_file_again(server: HubServer, tmp_path: Path) -> None:
    server.ranges, server.cuts = False, [1000]
    hub = client(server)
    revision = hub.revision("owner/base", COMMIT)
    seen: list[int] = []
    assert hub.fetch(revision, shard_of(revision), tmp_path, seen.append).read_bytes() == llama()[SHARD]
    assert sum(seen) == len(llama()[SHARD]), "bytes that are fetched again are not counted twice"


def test_a_wrong_byte_is_fetched_again_and_twice_is_refused(server: HubServer, tmp_path: Path) -> None:
    hub = client(server)
    revision = hub.revision("owner/base", COMMIT)
    server.spoiled = 1
    assert hub.fetch(revision, shard_of(revision), tmp_path).read_bytes() == llama()[SHARD]
    server.spoiled = 2
    with pytest.raises(InputError, match=r"weights\.huggingFace\.repo: model-00001.* has sha256 .* instead of .*, twice"):
        hub.fetch(revision, shard_of(revision), tmp_path / "again")
    assert list((tmp_path / "again").iterdir()) == []


def test_the_digest_in_the_headers_counts_where_the_api_names_none(server: HubServer, tmp_path: Path) -> None:
    server.repos["owner/base"].promises = False
    hub = client(server)
    revision = hub.revision("owner/base", COMMIT)
    assert shard_of(revision).sha256 is None
    server.spoiled = 1
    assert hub.fetch(revision, shard_of(revision), tmp_path).read_bytes() == llama()[SHARD]
    assert len(server.asked(SHARD)) == 2


def test_a_small_file_is_checked_by_git_s_digest(server: HubServer, tmp_path: Path) -> None:
    hub = client(server)
    revision = hub.revision("owner/base", COMMIT)
    server.repos["owner/base"].files["config.json"] = llama()["config.json"].replace(b"32", b"64")
    config = next(file for file in revision.files if file.path == "config.json")
    with pytest.raises(InputError, match="git digest"):
        hub.fetch(revision, config, tmp_path)


@pytest.mark.parametrize(
    ("repo", "revision", "token", "field", "says"),
    [
        ("owner/none", COMMIT, None, "repo", "owner/none does not exist at http"),
        ("owner/base", "f" * 40, None, "revision", "owner/base has no revision ffff"),
        ("owner/gated", COMMIT, None, "tokenFrom", "owner/gated is gated; accept its terms"),
        ("owner/gated", COMMIT, "hf_wrong", "tokenFrom", "owner/gated is gated; accept its terms"),
    ],
)
def test_refusals_name_the_field(
    server: HubServer, tmp_path: Path, repo: str, revision: str, token: str | None, field: str, says: str
) -> None:
    hub = client(server, token)
    with pytest.raises(InputError) as refused:
        found = hub.revision(repo, revision)
        hub.fetch(found, shard_of(found), tmp_path)
    assert str(refused.value).startswith(f"weights.huggingFace.{field}: {says}")


def test_the_token_opens_a_gated_repository_and_stays_with_the_hub(server: HubServer, tmp_path: Path) -> None:
    hub = client(server, "hf_right")
    revision = hub.revision("owner/gated", COMMIT)
    assert hub.fetch(revision, shard_of(revision), tmp_path).exists()
    sent = {path.split("/")[1]: token for path, token in server.authorized}
    assert sent["api"] == "Bearer hf_right"
    assert sent["cdn"] is None, "another host never sees it"


def test_a_hub_that_recovers_is_waited_for_and_one_that_does_not_is_given_up(server: HubServer) -> None:
    pauses: list[float] = []
    server.unavailable = 3
    assert client(server, pauses=pauses).revision("owner/base", COMMIT).commit == COMMIT
    assert pauses == [2.0, 4.0, 8.0]
    server.unavailable = 100
    with pytest.raises(HubError, match=r"weights\.huggingFace\.endpoint: http.* failed 8 times running: the hub answers 503"):
        client(server).revision("owner/base", COMMIT)


def test_an_address_that_ran_out_is_asked_for_again(server: HubServer, tmp_path: Path) -> None:
    server.expired = 2
    hub = client(server)
    revision = hub.revision("owner/base", COMMIT)
    assert hub.fetch(revision, shard_of(revision), tmp_path).read_bytes() == llama()[SHARD]


def test_nobody_there_is_given_up_too() -> None:
    pauses: list[float] = []
    with pytest.raises(HubError, match=r"failed 8 times running: ConnectError"):
        Hub("http://127.0.0.1:9", pause=pauses.append).revision("owner/base", COMMIT)
    assert max(pauses) <= 60


def test_the_first_failure_stops_the_others(server: HubServer, tmp_path: Path) -> None:
    hub = client(server)
    revision = hub.revision("owner/base", COMMIT)
    files = [file for file in revision.files if file.path.endswith(".safetensors")]

    def fail(file: HubFile, path: Path) -> None:
        raise TrainerError(f"the bucket is full at {file.path}")

    with pytest.raises(TrainerError, match="the bucket is full"):
        hub.fetch_all(revision, files, tmp_path, then=fail, workers=1)
    assert len(server.asked(".safetensors")) == 1


def test_a_full_disk_is_said() -> None:
    full = Path("/dev/full")
    with (
        pytest.raises(HubError, match="no space left for shard"),
        _enough_space(HubFile("shard", 10, None, None), full),
        full.open("wb") as out,
    ):
        out.write(b"0" * 10)
