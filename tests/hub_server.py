"""A hub on loopback: a double of huggingface.co, which tests cannot reach. It speaks the two routes that are used, as the hub documents them.

    GET /api/models/<owner>/<name>/revision/<revision>?blobs=true    what a revision holds
    GET /<owner>/<name>/resolve/<commit>/<path>                       a file; large ones redirect to /cdn/…, with X-Linked-Etag

It can cut connections, forget ranges, gate a repository, serve other bytes than promised, and remembers every request.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", "tokenizer.json")


@dataclass
class Repo:
    """One repository at one commit."""

    files: dict[str, bytes]
    commit: str = COMMIT
    gated: bool = False
    license: str | None = "apache-2.0"
    promises: bool = True
    """Whether the API says sizes and digests; some mirrors do not."""


@dataclass
class HubServer:
    """What the hub holds, what it does wrong, what it was asked."""

    repos: dict[str, Repo]
    token: str = "hf_right"
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the connections of the next transfers of shards end."""
    unavailable: int = 0
    """How many requests are answered with 503."""
    expired: int = 0
    """How many addresses of large files have run out when they are used."""
    ranges: bool = True
    spoiled: int = 0
    """How many transfers of large files have a wrong byte."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of every request."""
    authorized: list[tuple[str, str | None]] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    """Body bytes by path."""
    endpoint: str = ""

    def asked(self, ending: str) -> list[str | None]:
        """Range headers of the requests for a file's bytes."""
        return [asked for path, asked in self.requests if path.startswith("/cdn/") and path.endswith(ending)]


def entry(name: str, data: bytes, promises: bool) -> dict[str, Any]:
    """A file as the API lists it."""
    if not promises:
        return {"rfilename": name}
    git = sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    listed: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git}
    if name.endswith(LARGE):
        listed |= {"blobId": "ab" * 20, "lfs": {"sha256": sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}}
    return listed


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def log_message(self, format: str, *args: object) -> None:
        return

    def do_GET(self) -> None:
        path, hub = unquote(urlsplit(self.path).path), self.hub
        hub.requests.append((path, self.headers.get("Range")))
        hub.authorized.append((path, self.headers.get("Authorization")))
        if hub.unavailable > 0:
            hub.unavailable -= 1
            self._answer(503)
        elif path.startswith("/api/models/"):
            self._api(path.removeprefix("/api/models/"))
        elif path.startswith("/cdn/") and hub.expired > 0:
            hub.expired -= 1
            self._answer(403)
        elif path.startswith("/cdn/"):
            repo, _, name = path.removeprefix("/cdn/").partition("/resolve/")
            self._bytes(path, hub.repos[repo].files[name.split("/", 1)[1]], {})
        else:
            self._resolve(path.removeprefix("/"))

    def _api(self, path: str) -> None:
        name, _, revision = path.partition("/revision/")
        repo = self.hub.repos.get(name)
        if repo is None:
            self._answer(401, {"X-Error-Code": "RepoNotFound"})
        elif revision not in {repo.commit, "main"}:
            self._answer(404, {"X-Error-Code": "RevisionNotFound"})
        else:
            files = [entry(path, data, repo.promises) for path, data in repo.files.items()]
            body = {"id": name, "sha": repo.commit, "siblings": files, "cardData": {"license": repo.license}}
            self._answer(200, body=json.dumps(body).encode())

    def _resolve(self, path: str) -> None:
        name, _, rest = path.partition("/resolve/")
        repo, file = self.hub.repos[name], rest.split("/", 1)[1]
        if repo.gated and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._answer(403 if self.headers.get("Authorization") else 401, {"X-Error-Code": "GatedRepo"})
        elif file.endswith(LARGE):
            digest = sha256(repo.files[file]).hexdigest()
            location = self.hub.endpoint.replace("127.0.0.1", "localhost") + f"/cdn/{path}"
            self._answer(302, {"Location": location, "X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(repo.files[file]))})
        else:
            git = entry(file, repo.files[file], True)["blobId"]
            self._bytes(f"/{path}", repo.files[file], {"ETag": f'"{git}"'})

    def _bytes(self, path: str, data: bytes, headers: dict[str, str]) -> None:
        asked, hub = self.headers.get("Range"), self.hub
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and hub.ranges else 0
        if start >= len(data) > 0:
            self._answer(416)
            return
        body = data[start:]
        if hub.spoiled > 0 and path.startswith("/cdn/"):
            hub.spoiled -= 1
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(206 if asked and hub.ranges else 200)
        if asked and hub.ranges:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if hub.cuts and path.endswith(".safetensors"):
            body = body[: hub.cuts.pop(0)]
            self.close_connection = True
        hub.sent[path] = hub.sent.get(path, 0) + len(body)
        self.wfile.write(body)

    def _answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Hasty(Event):
    """Stands for the event that a client waits on between two tries."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


@contextmanager
def hub_server(**repos: Repo) -> Iterator[HubServer]:
    """A hub with repositories owner/<name>."""
    hub = HubServer({f"owner/{name}": repo for name, repo in repos.items()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def safetensors(tensors: dict[str, tuple[int, ...]], dtype: str = "BF16", size: int = 2) -> bytes:
    """A safetensors file with tensors of these shapes; their bytes are arbitrary, and the same each time."""
    entries, end = {}, 0
    for name, shape in tensors.items():
        count = size
        for side in shape:
            count *= side
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + count]}
        end += count
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + bytes(index * 31 % 251 for index in range(end))


CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100, "tie_word_embeddings": False,
}  # fmt: skip


def layer(index: int) -> dict[str, tuple[int, ...]]:
    name = f"model.layers.{index}"
    return {
        f"{name}.self_attn.q_proj.weight": (32, 32), f"{name}.self_attn.k_proj.weight": (16, 32), f"{name}.self_attn.v_proj.weight": (16, 32),
        f"{name}.self_attn.o_proj.weight": (32, 32), f"{name}.mlp.gate_proj.weight": (64, 32), f"{name}.mlp.up_proj.weight": (64, 32),
        f"{name}.mlp.down_proj.weight": (32, 64), f"{name}.input_layernorm.weight": (32,), f"{name}.post_attention_layernorm.weight": (32,),
    }  # fmt: skip


PARAMETERS = 2 * (32 * 32 * 2 + 16 * 32 * 2 + 3 * 64 * 32 + 64) + 2 * 100 * 32 + 32


def llama(**config: Any) -> dict[str, bytes]:
    """A Llama in two shards with everything that lies in such repositories beside it."""
    shards = {
        "model-00001-of-00002.safetensors": {"model.embed_tokens.weight": (100, 32), **layer(0)},
        "model-00002-of-00002.safetensors": {**layer(1), "model.norm.weight": (32,), "lm_head.weight": (100, 32)},
    }
    index = {"weight_map": {tensor: shard for shard, tensors in shards.items() for tensor in tensors}}
    return {
        **{name: safetensors(tensors) for name, tensors in shards.items()},
        "model.safetensors.index.json": json.dumps(index).encode(),
        "config.json": json.dumps({**CONFIG, **config}).encode(),
        "tokenizer.json": b'{"model": {}}' + b" " * 5000,
        "tokenizer_config.json": b"{}",
        "pytorch_model.bin": b"\x80\x04pickle",
        "pytorch_model.bin.index.json": b"{}",
        "modeling_own.py": b"print('never')",
        "README.md": b"# model",
        "images/a.png": b"png",
    }


def llava(prefix: str = "language_model.", flat: bool = False) -> dict[str, bytes]:
    """The same Llama with eyes, as transformers keeps them; `flat` as the first LLaVA did, `prefix` "model.language_model." as newer ones do."""

    def inside(name: str) -> str:
        if flat:
            return name
        if prefix.startswith("model.") and name.startswith("model."):
            return prefix + name.removeprefix("model.")
        return name if prefix.startswith("model.") else prefix + name

    eyes = {"model.vision_tower.layers.0.weight": (8, 8), "model.mm_projector.0.weight": (32, 8)} if flat else {
        "vision_tower.vision_model.embeddings.weight": (8, 8), "multi_modal_projector.linear_1.weight": (32, 8), "image_newline": (32,)
    }  # fmt: skip
    shards = {
        "model-00001-of-00003.safetensors": {**eyes, inside("model.embed_tokens.weight"): (100, 32), **{inside(k): v for k, v in layer(0).items()}},
        "model-00002-of-00003.safetensors": {
            **{inside(name): shape for name, shape in layer(1).items()}, inside("model.norm.weight"): (32,), inside("lm_head.weight"): (100, 32),
        },
        "model-00003-of-00003.safetensors": {"model.vision_tower.layers.1.weight" if flat else "vision_tower.vision_model.post.weight": (8, 8)},
    }  # fmt: skip
    index = {"weight_map": {tensor: shard for shard, tensors in shards.items() for tensor in tensors}}
    text = {key: value for key, value in CONFIG.items() if key != "architectures"}
    nested = {"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava", "dtype": "bfloat16", "text_config": text}
    whole = {
        **CONFIG,
        "architectures": ["LlavaLlamaForCausalLM"],
        "model_type": "llava_llama",
        "mm_hidden_size": 8,
        "image_aspect_ratio": "pad",
    }
    return {
        **{name: safetensors(tensors) for name, tensors in shards.items()},
        "model.safetensors.index.json": json.dumps(index).encode(), "config.json": json.dumps(whole if flat else nested).encode(),
        "tokenizer.json": b'{"model": {}}', "tokenizer_config.json": b"{}", "processor_config.json": b"{}", "README.md": b"# model",
    }  # fmt: skip


TAKEN = sorted(name for name in llama() if name.endswith((".safetensors", ".json", ".md")) and "bin" not in name)
"""What of it belongs to the model."""


def write_folder(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
