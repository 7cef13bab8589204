"""Fetching, starting and draining a llama-server, without one."""

import json
import multiprocessing
import os
import re
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from regimen.store import DigestMismatchError, NotFoundError, Store, StoreUnavailableError
from regimen_server import fetch as fetching
from regimen_server import main as entry
from regimen_server.drain import MetricsError, ask, busy_requests, drain
from regimen_server.fetch import FetchError, fetch, locked
from regimen_server.run import command
from regimen_server.settings import SettingsError, authorization, cache_file, digest, files, needed

CONTENT = b"GGUF" + bytes(range(256)) * 100
DIGEST = sha256(CONTENT).hexdigest()
URI = "s3://regimen/models/x.gguf"


class Bucket(Store):
    """A bucket with one object; it notes each download in a file, so that other processes' count too."""

    def __init__(self, log: Path, content: bytes | None = CONTENT) -> None:
        self.log, self.content = log, content

    def size(self, uri: str) -> int | None:
        return None if self.content is None else len(self.content)

    def download(self, uri: str, path: Path, digest: str | None = None) -> str:
        with self.log.open("a") as log:
            log.write("download\n")
        assert self.content is not None
        if sha256(self.content).hexdigest() != digest:
            raise DigestMismatchError(f"{uri}: sha256 is not as expected")
        path.write_bytes(self.content)
        return sha256(self.content).hexdigest()

    @property
    def downloads(self) -> int:
        return self.log.read_text().count("download") if self.log.exists() else 0


def no_bucket() -> Store:
    raise StoreUnavailableError("the bucket was asked for")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return cache_file({"CACHE_DIR": str(tmp_path / "cache"), "GGUF_SHA256": f"sha256:{DIGEST}"})


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(tmp_path / "log")


def test_the_second_time_needs_no_bucket(path: Path, bucket: Bucket) -> None:
    assert path.name == f"{DIGEST}.gguf" and path.parent.name == "sha256"
    assert fetch(URI, DIGEST, path, lambda: bucket) is True
    assert fetch(URI, DIGEST, path, no_bucket) is False
    assert path.read_bytes() == CONTENT


def test_a_damaged_file_is_fetched_again(path: Path, bucket: Bucket) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:-1])
    assert fetch(URI, DIGEST, path, lambda: bucket) is True
    assert path.read_bytes() == CONTENT


def test_leftovers_of_this_digest_go_and_other_files_stay(path: Path, bucket: Bucket) -> None:
    path.parent.mkdir(parents=True)
    leftover, other = path.with_name(f".{path.name}.abc.partial"), path.with_name("other.gguf")
    leftover.touch()
    other.touch()
    fetch(URI, DIGEST, path, lambda: bucket)
    assert other.exists() and not leftover.exists()


def test_a_full_volume_is_said_before_anything_is_written(path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "HEADROOM", 2**60)
    with pytest.raises(FetchError, match="GiB free"):
        fetch(URI, DIGEST, path, lambda: bucket)
    assert bucket.downloads == 0


def filled(path: Path, monkeypatch: pytest.MonkeyPatch, capacity: int, *names: str) -> None:
    """A volume of that many bytes with files of 10,000 bytes each, the first the one that was of no use for longest."""
    path.parent.mkdir(parents=True)
    for day, name in enumerate(names):
        old = path.with_name(f"{name}.gguf")
        old.write_bytes(bytes(10_000))
        os.utime(old, (day, day))

    def usage(folder: Path) -> SimpleNamespace:
        return SimpleNamespace(free=capacity - sum(file.stat().st_size for file in folder.glob("*.gguf")))

    monkeypatch.setattr(fetching.shutil, "disk_usage", usage)
    monkeypatch.setattr(fetching, "HEADROOM", 0)


def kept(path: Path) -> set[str]:
    return {file.stem for file in path.parent.glob("*.gguf")}


def test_what_is_not_needed_makes_room_oldest_first_and_only_as_much_as_is_asked(
    path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path, monkeypatch, 52_000, "a", "b", "c", "d")
    assert fetch(URI, DIGEST, path, lambda: bucket, {"a"}) is True
    assert kept(path) == {"a", "d", DIGEST}


def test_without_a_word_of_what_is_needed_nothing_goes(path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, monkeypatch, 32_000, "a", "b")
    with pytest.raises(FetchError, match="remove versions that neither serve nor served before"):
        fetch(URI, DIGEST, path, lambda: bucket)
    assert kept(path) == {"a", "b"}


def test_what_is_needed_stays_and_the_volume_is_too_small(path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, monkeypatch, 32_000, "a", "b")
    with pytest.raises(FetchError, match="GiB: enlarge the volume"):
        fetch(URI, DIGEST, path, lambda: bucket, {"a", "b"})
    assert kept(path) == {"a", "b"} and bucket.downloads == 0


def test_a_file_that_another_pod_is_busy_with_stays(path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, monkeypatch, 42_000, "a", "b")
    with locked(path.with_name("a.gguf")):
        assert fetch(URI, DIGEST, path, lambda: bucket, frozenset()) is True
    assert kept(path) == {"a", DIGEST}


def test_what_is_needed_is_a_list_of_digests() -> None:
    assert needed({}) is None
    assert needed({"NEEDED": json.dumps([DIGEST])}) == {DIGEST}
    for text in ("[1]", "no", '["abc"]'):
        with pytest.raises(SettingsError):
            needed({"NEEDED": text})


def test_other_bytes_in_the_bucket_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="not what was judged"):
        fetch(URI, DIGEST, path, lambda: Bucket(tmp_path / "log", b"other"))
    assert not path.exists()


def test_a_missing_object_is_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"x\.gguf"):
        fetch(URI, DIGEST, path, lambda: Bucket(tmp_path / "log", None))


def _fetch(path: Path, bucket: Bucket) -> None:
    fetch(URI, DIGEST, path, lambda: bucket)


def test_pods_that_start_together_download_once(path: Path, bucket: Bucket) -> None:
    context = multiprocessing.get_context("fork")
    pods = [context.Process(target=_fetch, args=(path, bucket)) for _ in range(4)]
    for pod in pods:
        pod.start()
    for pod in pods:
        pod.join(20)
    assert [pod.exitcode for pod in pods] == [0] * 4 and bucket.downloads == 1


def test_a_failure_is_one_sentence_in_the_termination_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "termination"
    log.touch()
    monkeypatch.setattr(entry, "TERMINATION_LOG", log)
    for name in ("GGUF_URI", "REGIMEN_S3_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert entry.main(["fetch"]) == 1
    assert log.read_text() == "fetch: environment variable GGUF_URI is not set\n"
    monkeypatch.setenv("GGUF_URI", URI)
    monkeypatch.setenv("GGUF_SHA256", DIGEST)
    monkeypatch.setenv("CACHE_DIR", str(tmp_path))
    assert entry.main(["fetch"]) == 1
    assert "REGIMEN_S3_ENDPOINT" in log.read_text()


@pytest.fixture
def environ(tmp_path: Path, path: Path) -> dict[str, str]:
    path.parent.mkdir(parents=True)
    path.touch()
    return {
        "CACHE_DIR": str(tmp_path / "cache"),
        "GGUF_SHA256": DIGEST,
        "MODEL_ALIAS": "claims-v1.1",
        "CONTEXT_SIZE": "8192",
        "PARALLEL": "4",
        "GPU_LAYERS": "99",
        "EXTRA_ARGS": '["--flash-attn", "on"]',
    }


def test_the_command_line(environ: dict[str, str], path: Path) -> None:
    assert command(environ) == [
        "llama-server",
        "--host",
        "0.0.0.0",
        "--port",
        "8080",
        "--model",
        str(path),
        "--alias",
        "claims-v1.1",
        "--ctx-size",
        "8192",
        "--parallel",
        "4",
        "--n-gpu-layers",
        "99",
        "--threads-http",
        "128",
        "--metrics",
        "--no-slots",
        "--no-webui",
        "--jinja",
        "--flash-attn",
        "on",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"EXTRA_ARGS": '["--model", "x"]'}, "--model"),
        ({"EXTRA_ARGS": '["--port=1"]'}, "--port"),
        ({"EXTRA_ARGS": "--x"}, "not JSON"),
        ({"EXTRA_ARGS": "[1]"}, "list of strings"),
        ({"PARALLEL": "two"}, "PARALLEL"),
        ({"GGUF_SHA256": "abc"}, "64 hex digits"),
        ({"GGUF_SHA256": "0" * 64}, "fetch runs before"),
    ],
)
def test_a_wrong_environment_is_named(environ: dict[str, str], change: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        command(environ | change)


def test_the_digest_may_carry_its_name() -> None:
    assert digest({"GGUF_SHA256": f"sha256:{DIGEST}"}) == digest({"GGUF_SHA256": DIGEST}) == DIGEST


def test_several_files_are_brought_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a rollout does on each node before it moves anything."""
    ggufs = [{"uri": URI, "sha256": f"sha256:{DIGEST}"}, {"uri": "s3://regimen/models/y.gguf", "sha256": "ab" * 32}]
    asked: list[tuple[str, str, str, object]] = []

    def bring(uri: str, digest: str, path: Path, store: object, needed: object) -> bool:
        asked.append((uri, digest, path.name, needed))
        return True

    monkeypatch.setattr(fetching, "fetch", bring)
    monkeypatch.setenv("GGUFS", json.dumps(ggufs))
    monkeypatch.setenv("NEEDED", json.dumps([DIGEST]))
    assert entry.main(["fetch"]) == 0
    assert asked == [
        (URI, DIGEST, f"{DIGEST}.gguf", {DIGEST}),
        ("s3://regimen/models/y.gguf", "ab" * 32, f"{'ab' * 32}.gguf", {DIGEST}),
    ]


@pytest.mark.parametrize("text", ["{", '[{"uri": "s3://x/y"}]', "[1]", '{"a": 1}'])
def test_a_wrong_list_of_files_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="GGUFS is not a JSON list of objects with uri and sha256"):
        files({"GGUFS": text})


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    """A Secret as it is mounted: links whose names begin with dots, and one file for each entry."""
    folder, tmp = tmp_path / "keys", tmp_path / "tmp"
    for part in (folder / "..data", tmp):
        part.mkdir(parents=True)
    (folder / "claims-app").write_text("key-one\n")
    (folder / "portal").write_text("key-two")
    return {"API_KEYS_DIR": str(folder), "TMPDIR": str(tmp)}


def test_keys_go_to_llama_server_by_a_file_that_others_cannot_read(environ: dict[str, str], keys: dict[str, str]) -> None:
    arguments = command(environ | keys)
    file = Path(arguments[arguments.index("--api-key-file") + 1])
    assert file.read_text() == "key-one\nkey-two\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "key-one" not in arguments
    (Path(keys["API_KEYS_DIR"]) / "claims-app").write_text("changed")
    assert authorization(environ | keys) == {"Authorization": "Bearer key-one"}, "as it was started with"
    assert authorization(environ) == {}
    assert "--api-key-file" not in command(environ)


def test_a_secret_without_a_key_is_said(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(SettingsError, match="holds no key"):
        command(environ | {"API_KEYS_DIR": str(tmp_path / "none")})


class Engine(BaseHTTPRequestHandler):
    """A llama-server that gives one answer; the class is given it."""

    status, body = 200, b""
    asked: list[dict[str, object]] = []  # noqa: RUF012 - emptied by the test

    def do_POST(self) -> None:
        Engine.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Silent."""


ANSWERED = json.dumps({"choices": [{"message": {"content": ""}}], "usage": {"completion_tokens": 1}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, ANSWERED, ""),
        (200, b'{"choices": [{}], "usage": {"completion_tokens": 0}}', "a completion was answered without a token"),
        (200, b"<html>", "the answer to a completion is none: JSONDecodeError"),
        (200, b'{"choices": []}', "the answer to a completion is none: KeyError"),
        (503, b'{"error": {"message": "Loading model"}}', "the model is loading"),
        (500, b'{"error": {"message": "words of a record"}}', "a completion was answered with HTTP 500"),
    ],
)
def test_a_replica_is_ready_once_it_has_answered_a_completion(
    status: int, body: bytes, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Engine, "status", status)
    monkeypatch.setattr(Engine, "body", body)
    Engine.asked.clear()
    with HTTPServer(("127.0.0.1", 0), Engine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PORT", str(server.server_port))
        assert entry.main(["answers"]) == (1 if said else 0)
        server.shutdown()
    assert capsys.readouterr().out.strip() == said
    assert Engine.asked[0]["max_tokens"] == 1


def test_one_that_does_not_listen_yet_is_not_ready(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with HTTPServer(("127.0.0.1", 0), Engine) as server:
        port = server.server_port
    monkeypatch.setenv("PORT", str(port))
    assert entry.main(["answers"]) == 1
    assert capsys.readouterr().out == "llama-server does not answer: ConnectError\n"


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("busy", "idle", "seconds"),
    [
        ([0, 0], True, 3.5),
        ([2, 1, 0, 0], True, 4.5),
        ([0, 1, 0, 0], True, 4.5),
        ([None, 0, None, 0, 0], True, 5),
        ([3] * 99, False, 10),
        ([None] * 99, False, 10),
    ],
)
def test_draining_waits_until_two_looks_find_it_idle(busy: list[float | None], idle: bool, seconds: float) -> None:
    looks, time = iter(busy), Time()
    ended = drain("", 3, 10, lambda _: next(looks), time.clock, time.sleep)
    assert (ended.idle, ended.seconds) == (idle, seconds)


def test_metrics_are_read() -> None:
    text = "# HELP llamacpp:requests_processing x\nllamacpp:requests_processing 2\nllamacpp:requests_deferred 3\nllamacpp:other 9\n"
    assert busy_requests(text) == 5
    with pytest.raises(MetricsError):
        busy_requests("llamacpp:other 9\n")


def test_draining_asks_the_server_and_says_how_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"llamacpp:requests_processing 1\nllamacpp:requests_deferred 0\n")

        def log_message(self, *_: object) -> None:
            """Silent."""

    log, server = tmp_path / "log", HTTPServer(("127.0.0.1", 0), Handler)
    log.touch()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(entry, "CONTAINER_LOG", log)
    for name, value in (("PORT", server.server_port), ("DRAIN_TIMEOUT", 1), ("DRAIN_SETTLE", 0)):
        monkeypatch.setenv(name, str(value))
    assert entry.main(["drain"]) == 0
    assert re.fullmatch(r"drain: gave up after \d+ s with 1 requests left\n", log.read_text())
    server.shutdown()
    server.server_close()
    assert ask(f"http://127.0.0.1:{server.server_port}/metrics") == 0
    assert entry.main(["drain"]) == 0
    assert "idle" in log.read_text()


def test_logs_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    from regimen import logs

    logs.configure()
    entry.LOG.info("hello", extra={"fields": {"bytes": 5}})
    line = json.loads(capsys.readouterr().err)
    assert (line["message"], line["bytes"], line["level"]) == ("hello", 5, "info")
