"""A replica for tests: answers at once, counts, and fails on demand."""

import asyncio
import json
import socket
import threading
from dataclasses import dataclass, field


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Stub:
    """One replica on a loopback port. `mode`: ok, mute (closes without an answer), slow (answers after `delay`), stream (sends a word
    every `delay` seconds, `words` times). While it is `held`, no slow answer comes, and of a stream the first word only."""

    name: str
    port: int = field(default_factory=free_port)
    mode: str = "ok"
    delay: float = 1.0
    words: int = 4
    held: bool = False
    requests: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    """Of the last completion."""

    def start(self) -> "Stub":
        """Answer, unless it does already."""
        if self._server is not None and self._server.is_serving():
            return self
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        threading.Thread(target=self._run, args=(started,), daemon=True).start()
        started.wait(5)
        return self

    def stop(self) -> None:
        """Refuse connections from now on."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(5)

    def kill(self) -> None:
        """Refuse connections, and drop those that are open, like a process that dies."""
        asyncio.run_coroutine_threadsafe(self._close(drop=True), self._loop).result(5)

    async def _close(self, drop: bool = False) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers if drop else ():
            writer.transport.abort()

    def __post_init__(self) -> None:
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        started.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            if first.startswith("POST"):
                self.requests += 1
                self.headers = headers | {":target": first.split(" ")[1]}
                await self._act()
            if first.startswith("POST") and self.mode == "stream":
                await self._stream(writer)
            elif not (first.startswith("POST") and self.mode == "mute"):
                writer.write(self._answer(len(body)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _act(self) -> None:
        if self.mode == "slow":
            await self._wait()

    async def _wait(self) -> None:
        await asyncio.sleep(self.delay)
        while self.held:
            await asyncio.sleep(0.01)

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(self.words):
            event = f"data: {number}\n\n".encode()
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await writer.drain()
            await self._wait()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _answer(self, length: int) -> bytes:
        body = json.dumps({"status": "ok", "by": self.name, "length": length}).encode()
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Regimen-Version: forged\r\nAccess-Control-Allow-Origin: *\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
        )
