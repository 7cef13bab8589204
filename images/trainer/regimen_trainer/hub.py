"""Files of a Hugging Face hub, by its two HTTP routes: what a revision holds, and a file of it.

huggingface_hub is not used for this: it throws a partial file away when its process ends, and does not compare what it fetched with the
digest that the hub promises (decision 0013). Here a file continues where it was cut, within a process and after it, and counts only once its
size and digest are right. Knows nothing of models or buckets.

    HubError (TrainerError)     the hub cannot be reached, or goes on failing; another try may help
    InputError                  the request is at fault: no such repository, no access, other bytes than promised
"""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import ENOSPC
from hashlib import sha1, sha256
from pathlib import Path
from threading import Event
from typing import Any, Self

import httpx

from regimen_trainer.errors import InputError, TrainerError
from regimen_trainer.logs import log

WORKERS = 4
ATTEMPTS = 8
"""Failures in a row without a new byte before a file is given up: about four minutes."""
CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class HubError(TrainerError):
    """The hub cannot be reached, or goes on failing."""


class _Cut(Exception):
    """A transfer ended early or may be tried again."""


class _Stopped(Exception):
    """Another file of the same download failed."""


@dataclass(frozen=True)
class HubFile:
    """A file of a revision."""

    path: str
    bytes: int
    sha256: str | None
    """Of files in large file storage."""
    blob: str | None
    """Git's own digest of the others."""


@dataclass(frozen=True)
class Revision:
    """A repository at one commit."""

    repo: str
    commit: str
    license: str | None
    files: tuple[HubFile, ...]


@dataclass(frozen=True)
class Fields:
    """How messages name what the user wrote."""

    repo: str = "weights.huggingFace.repo"
    revision: str = "weights.huggingFace.revision"
    token: str = "weights.huggingFace.tokenFrom"
    endpoint: str = "weights.huggingFace.endpoint"


Seen = Callable[[int], None]


def _nothing(_bytes: int) -> None:
    """Hears of bytes and does not mind."""


class Hub:
    """One hub, or a mirror of it. Its methods may be called from several threads."""

    def __init__(
        self, endpoint: str, token: str | None = None, fields: Fields | None = None, pause: Callable[[float], object] | None = None
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._fields = fields or Fields()
        self._stop = Event()
        self._pause = pause or self._stop.wait
        # Redirects go to other hosts; httpx leaves the token behind there.
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(30, connect=10),
            follow_redirects=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def revision(self, repo: str, revision: str) -> Revision:
        """What a commit, branch or pull request (refs/pr/N) holds now. Raises InputError, HubError."""
        self._stop.clear()
        name = revision.replace("/", "%2F")
        body = self._patiently(lambda: self._json(f"{self.endpoint}/api/models/{repo}/revision/{name}?blobs=true", repo, revision))
        try:
            files = tuple(_file(entry) for entry in body["siblings"])
            card = body.get("cardData") or {}
            stated = card.get("license_name") or card.get("license")
            return Revision(repo, str(body["sha"]), str(stated) if isinstance(stated, str) else None, files)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self._fields.endpoint}: {self.endpoint} does not answer like a Hugging Face hub; correct it") from error

    def fetch(self, revision: Revision, file: HubFile, folder: Path, seen: Seen = _nothing) -> Path:
        """A file below `folder`, continued where an earlier call was cut. `seen` hears of every byte that counts, and of those that no longer do.

        Raises InputError, HubError.
        """
        path, partial = folder / file.path, folder / f"{file.path}.partial"
        path.parent.mkdir(parents=True, exist_ok=True)
        seen(_size(partial))
        for last in (False, True):
            promised = self._patiently(lambda: self._stream(revision, file, partial, seen), lambda: _size(partial))
            wrong = _difference(partial, file, promised)
            if wrong is None:
                partial.rename(path)
                return path
            log("a fetched file is not what the hub promised", level="warning", file=file.path, fault=wrong)
            seen(-_size(partial))
            partial.unlink()
            if last:
                break
        raise InputError(f"{self._fields.repo}: {file.path} of {revision.repo} {wrong}, twice; the hub or a proxy is at fault")

    def fetch_all(
        self,
        revision: Revision,
        files: Sequence[HubFile],
        folder: Path,
        seen: Seen = _nothing,
        then: Callable[[HubFile, Path], None] | None = None,
        workers: int = WORKERS,
    ) -> None:
        """Several files side by side; `then` is called in a file's own thread once it is there. The first failure stops the others."""
        self._stop.clear()

        def one(file: HubFile) -> None:
            if self._stop.is_set():
                return
            try:
                path = self.fetch(revision, file, folder, seen)
                if then is not None and not self._stop.is_set():
                    then(file, path)
            except _Stopped:
                return
            except BaseException:
                self._stop.set()
                raise

        with ThreadPoolExecutor(workers) as pool:
            try:
                largest_first = sorted(files, key=lambda file: -file.bytes)
                for done in as_completed([pool.submit(one, file) for file in largest_first]):
                    done.result()
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _json(self, url: str, repo: str, revision: str) -> Any:
        response = self._http.get(url)
        self._check(response, repo, revision)
        try:
            return response.json()
        except ValueError as error:
            raise InputError(f"{self._fields.endpoint}: {self.endpoint} does not answer like a Hugging Face hub; correct it") from error

    def _stream(self, revision: Revision, file: HubFile, partial: Path, seen: Seen) -> str | None:
        """Append what is missing to `partial`; returns the digest that the answer promises, if any. Raises _Cut where something is missing still."""
        have = _size(partial)
        if have >= file.bytes > 0:
            return None
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        url = f"{self.endpoint}/{revision.repo}/resolve/{revision.commit}/{file.path}"
        with self._http.stream("GET", url, headers=headers) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                partial.unlink()
                seen(-have)
                raise _Cut("the hub knows no bytes after those that are here")
            self._check(response, revision.repo, revision.commit)
            appends = response.status_code == httpx.codes.PARTIAL_CONTENT
            if have and not appends:
                seen(-have)  # the hub sends the whole file again
            with _enough_space(file, partial), partial.open("ab" if appends else "wb") as out:
                for chunk in response.iter_raw():  # as it comes: what waits for a full chunk is lost in a cut
                    if self._stop.is_set():
                        raise _Stopped
                    out.write(chunk)
                    seen(len(chunk))
            if _size(partial) < file.bytes:
                raise _Cut("the connection ended early")
            return _promised([*response.history, response])

    def _check(self, response: httpx.Response, repo: str, revision: str) -> None:
        """Raise InputError, or _Cut for what may pass, unless the answer is what was asked for."""
        status, fields = response.status_code, self._fields
        if response.is_success:
            return
        elsewhere = response.url.host != httpx.URL(self.endpoint).host  # a signed address that ran out: the hub gives another
        if (
            elsewhere
            or status in {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS}
            or status >= httpx.codes.INTERNAL_SERVER_ERROR
        ):
            raise _Cut(f"the hub answers {status}")
        code = response.headers.get("X-Error-Code", "")
        if code == "GatedRepo" or status == httpx.codes.FORBIDDEN:
            raise InputError(f"{fields.token}: {repo} is gated; accept its terms on its page and give the token of an account that did")
        if code == "RevisionNotFound" or (status == httpx.codes.NOT_FOUND and code == "EntryNotFound"):
            raise InputError(f"{fields.revision}: {repo} has no revision {revision}; correct it")
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.NOT_FOUND}:
            raise InputError(
                f"{fields.repo}: {repo} does not exist at {self.endpoint}, or is private; correct it, or give a token that may read it ({fields.token})"
            )
        raise InputError(f"{fields.endpoint}: {self.endpoint} answers {status} for {repo}; correct it")

    def _patiently(self, call: Callable[[], Any], progress: Callable[[], int] = lambda: 0) -> Any:
        """Call until it succeeds. Raises HubError after ATTEMPTS failures between which there was no progress."""
        failures, before = 0, progress()
        while True:
            try:
                return call()
            except (_Cut, httpx.RequestError) as error:
                now = progress()
                failures = 1 if now > before else failures + 1
                before = now
                if failures >= ATTEMPTS:
                    reason = str(error) if isinstance(error, _Cut) else type(error).__name__
                    raise HubError(f"{self._fields.endpoint}: {self.endpoint} failed {failures} times running: {reason}") from error
                log("hub failed, trying again", level="warning", fault=type(error).__name__, failures=failures, bytes=now)
                self._pause(min(60.0, 2.0**failures))
                if self._stop.is_set():
                    raise _Stopped from error


@contextmanager
def _enough_space(file: HubFile, partial: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != ENOSPC:
            raise
        raise HubError(
            f"no space left for {file.path} ({file.bytes} bytes) on the disk of {partial.parent}; free some, or use another"
        ) from error


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _file(entry: dict[str, Any]) -> HubFile:
    large = entry.get("lfs") or {}
    return HubFile(
        path=str(entry["rfilename"]),
        bytes=int(large.get("size", entry.get("size") or 0)),
        sha256=large.get("sha256"),
        blob=None if large else entry.get("blobId"),
    )


def _promised(answers: Sequence[httpx.Response]) -> str | None:
    """The sha256 that the hub's headers name; of small files the entity tag is git's digest instead, and a mirror's may be anything."""
    for answer in answers:
        tag = (answer.headers.get("X-Linked-Etag") or answer.headers.get("ETag") or "").removeprefix("W/").strip('"')
        if _SHA256.fullmatch(tag):
            return tag
    return None


def _difference(partial: Path, file: HubFile, promised: str | None) -> str | None:
    """What is wrong with a fetched file, or None."""
    if file.bytes and _size(partial) != file.bytes:
        return f"has {_size(partial)} bytes instead of {file.bytes}"
    whole = sha256()
    git = sha1(b"blob %d\0" % _size(partial), usedforsecurity=False) if file.blob else None
    with partial.open("rb") as source:
        while block := source.read(CHUNK):
            whole.update(block)
            if git is not None:
                git.update(block)
    wanted = file.sha256 or promised
    if wanted is not None and whole.hexdigest() != wanted:
        return f"has sha256 {whole.hexdigest()} instead of {wanted}"
    if git is not None and git.hexdigest() != file.blob:
        return f"has git digest {git.hexdigest()} instead of {file.blob}"
    return None
