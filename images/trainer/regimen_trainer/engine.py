"""The served engine on loopback: llama-server with one GGUF, and the few requests that evaluation makes of it."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regimen_trainer.errors import ToolError
from regimen_trainer.tasks import Message
from regimen_trainer.tools import last_line

if TYPE_CHECKING:
    import httpx

SERVER = os.environ.get("LLAMA_SERVER", "llama-server")
START_SECONDS = 600
ANSWER_SECONDS = 300


@dataclass(frozen=True)
class Reply:
    """An answer. `cut`: it reached the limit of tokens; `seconds`: from the question to its end."""

    text: str
    tokens: int
    cut: bool
    seconds: float


class Engine:
    """A running llama-server."""

    def __init__(self, client: "httpx.Client") -> None:
        self._client = client

    def answer(self, messages: Sequence[Message], max_tokens: int) -> Reply:
        """The model's answer at temperature 0. Raises ToolError where the engine does not give one.

        The engine keeps what it has read of earlier prompts in its slots: rows that share a system message do not pay for it again.
        """
        began = time.monotonic()
        body = self._post("/v1/chat/completions", {"messages": list(messages), "temperature": 0, "seed": 0, "max_tokens": max_tokens})
        choice = body["choices"][0]
        return Reply(
            str(choice["message"]["content"] or ""), int(body["usage"]["completion_tokens"]), choice["finish_reason"] == "length",
            time.monotonic() - began,
        )  # fmt: skip

    def template_ids(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the prompt that the served chat template makes of messages."""
        return self.ids(self.prompt(messages), special=True)

    def prompt(self, messages: Sequence[Message]) -> str:
        """The prompt that the served chat template makes of messages."""
        return str(self._post("/apply-template", {"messages": list(messages)})["prompt"])

    def ids(self, text: str, special: bool) -> list[int]:
        """Token ids of a text. `special`: with the token that begins a prompt, and special tokens taken for what they are."""
        return list(self._post("/tokenize", {"content": text, "add_special": special, "parse_special": special})["tokens"])

    def next_token(self, ids: Sequence[int], top: int) -> list[tuple[int, float]]:
        """The `top` most probable tokens after a prompt, each with the logarithm of its probability over the whole vocabulary."""
        body = {"prompt": list(ids), "n_predict": 1, "n_probs": top, "temperature": 0, "seed": 0}
        first = self._post("/completion", body)["completion_probabilities"][0]
        return [(int(token["id"]), float(token["logprob"])) for token in first["top_logprobs"]]

    def _post(self, path: str, body: dict[str, object]) -> Any:
        import httpx

        try:
            answer = self._client.post(path, json=body)
        except httpx.HTTPError as error:
            raise ToolError(f"llama-server did not answer {path}: {type(error).__name__}") from error
        if answer.status_code != 200:
            raise ToolError(f"llama-server answered {path} with status {answer.status_code}")
        return answer.json()


def engine_version() -> str:
    """What the engine says of its build; answers of another build may differ. Raises ToolError where it cannot be started."""
    try:
        done = subprocess.run([SERVER, "--version"], capture_output=True, text=True, errors="replace", check=False, timeout=START_SECONDS)
    except OSError as error:
        raise ToolError(f"{SERVER} could not be started: {error.strerror}") from error
    lines = f"{done.stdout}\n{done.stderr}".splitlines()
    return next((line.strip() for line in lines if line.startswith("version")), "unknown")


@contextmanager
def serving(gguf: Path, slots: int, context: int, threads: int, log_file: Path) -> Iterator[Engine]:
    """Serve a GGUF while the block runs. `context`: tokens per slot. Raises ToolError where the engine does not start."""
    import httpx

    port = free_port()
    command = [
        SERVER,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--model",
        str(gguf),
        "--ctx-size",
        str(context * slots),
        "--parallel",
        str(slots),
        "--threads",
        str(threads),
        "--no-slots",
        "--no-webui",
        "--jinja",
        "--cache-ram",
        "0",
    ]
    with log_file.open("ab") as output:
        try:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        except OSError as error:
            raise ToolError(f"{SERVER} could not be started: {error.strerror}") from error
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_SECONDS, trust_env=False) as client:
            wait_until_ready(process, client, log_file)
            yield Engine(client)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_ready(process: "subprocess.Popen[bytes]", client: "httpx.Client", log_file: Path) -> None:
    """Poll /health until the model is loaded. Raises ToolError where the process ends or time is up."""
    import httpx

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ToolError(f"llama-server ended with status {process.returncode} at start-up: {last_line(log_file)}")
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.1)
    raise ToolError(f"llama-server was not ready after {START_SECONDS} s: {last_line(log_file)}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
