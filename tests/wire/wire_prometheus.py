"""A Prometheus of one's own on loopback, which scrapes what a test sets: Debian's package, unpacked and never installed."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from regimen_cluster.errors import ClusterError
from regimen_cluster.host import attempt
from regimen_cluster.layout import cache_root

CONFIG = """global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs: [{{job_name: cards, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""


class NotToBeHadError(Exception):
    """There is no Prometheus here, and why."""


def program() -> str:
    """Where Prometheus is: on the PATH, or unpacked into the cache. Raises NotToBeHadError."""
    kept = cache_root() / "prometheus" / "prometheus"
    if found := shutil.which("prometheus"):
        return found
    if not kept.exists():
        if shutil.which("apt-get") is None:
            raise NotToBeHadError("it is not on the PATH, and there is no apt-get to download it with")
        _unpack(kept)
    return str(kept)


def _unpack(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        try:
            _download(folder)
        except ClusterError as error:
            raise NotToBeHadError(str(error)) from error
        (package,) = Path(folder).glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", str(package), folder], check=True, timeout=120)
        # Last and by one rename: what is there is whole.
        (Path(folder) / "usr/bin/prometheus").replace(target)


def _download(folder: str) -> None:
    download = ["sh", "-c", f"cd {folder} && apt-get download prometheus"]
    if attempt(download, timeout=300).returncode != 0:
        attempt(["apt-get", "update"], timeout=300)
        done = attempt(download, timeout=300)
        if done.returncode != 0:
            raise NotToBeHadError(f"apt-get download prometheus: {done.stderr.strip()[-200:]}")


@dataclass
class Monitoring:
    """A server that may be stopped and started, and the gauge `celsius` that it scrapes; `place` names the test's own series."""

    argv: list[str]
    url: str
    celsius: Gauge
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    def start(self) -> None:
        self.process = subprocess.Popen(self.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _until("Prometheus is ready", lambda: _get(f"{self.url}/-/ready") is not None)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.process = None

    def show(self, place: str, *degrees: float) -> None:
        """So many cards with these temperatures; returns once the server says so."""
        for labels in [tuple(s.labels[name] for name in ("place", "card")) for m in self.celsius.collect() for s in m.samples]:
            if labels[0] == place:
                self.celsius.remove(*labels)
        for card, value in enumerate(degrees):
            self.celsius.labels(place, str(card)).set(value)
        _until(f"{degrees} is scraped", lambda: self.shown(place) == sorted(degrees))

    def shown(self, place: str) -> list[float] | None:
        answer = _get(f"{self.url}/api/v1/query", query=f'celsius{{place="{place}"}}')
        return None if answer is None else sorted(float(series["value"][1]) for series in answer.json()["data"]["result"])


def _get(url: str, **params: str) -> httpx.Response | None:
    try:
        answer = httpx.get(url, params=params, timeout=5)
    except httpx.HTTPError:
        return None
    return answer if answer.status_code == 200 else None


def _until(what: str, done: Callable[[], bool]) -> None:
    for _ in range(600):
        if done():
            return
        time.sleep(0.1)
    raise AssertionError(f"not so: {what}")


@contextmanager
def monitoring(folder: Path, port: int) -> Iterator[Monitoring]:
    """A running server while the block runs. Raises NotToBeHadError."""
    binary = program()
    registry = CollectorRegistry()
    celsius = Gauge("celsius", "Temperature of a card.", ["place", "card"], registry=registry)
    exporter, thread = start_http_server(0, "127.0.0.1", registry)
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(port=exporter.server_port))
    argv = [binary, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    made = Monitoring(argv, f"http://127.0.0.1:{port}", celsius)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        exporter.shutdown()
        exporter.server_close()
        thread.join(timeout=10)


__all__ = ["Monitoring", "NotToBeHadError", "monitoring"]
