"""As much of a Kubernetes API as the agent asks for: one ConfigMap and the EndpointSlices of a service, listed and watched."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

Object = dict[str, Any]


class StubKubernetes:
    """Objects by resource and name; every change is an event for those who watch."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._objects: dict[str, dict[str, Object]] = {"configmaps": {}, "endpointslices": {}}
        self._events: list[tuple[str, Object]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put_routing(self, document: str) -> None:
        """The ConfigMap's only key."""
        self._put("configmaps", {"metadata": {"name": "claims-routing", "uid": "u1"}, "data": {"routing.json": document}})

    def put_pods(self, version: str, ports: dict[str, int]) -> None:
        """One slice for each pod: on the loopback they differ by port."""
        for name, port in ports.items():
            endpoint = {"addresses": ["127.0.0.1"], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": name}}
            labels = {"regimen.dev/service": "claims", "regimen.dev/version": version}
            meta = {"name": name, "labels": labels}
            self._put("endpointslices", {"addressType": "IPv4", "endpoints": [endpoint], "metadata": meta, "ports": [{"port": port}]})

    def _put(self, resource: str, found: Object) -> None:
        with self._changed:
            known = found["metadata"]["name"] in self._objects[resource]
            found["metadata"]["resourceVersion"] = str(len(self._events) + 1)
            self._objects[resource][found["metadata"]["name"]] = found
            self._events.append((resource, {"type": "MODIFIED" if known else "ADDED", "object": found}))
            self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                address = urlparse(self.path)
                query, resource = parse_qs(address.query), address.path.rpartition("/")[2]
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    if "watch" in query:
                        stub._watch(self, resource, int(query["resourceVersion"][0]), float(query["timeoutSeconds"][0]))
                    else:
                        with stub._changed:
                            meta = {"resourceVersion": str(len(stub._events))}
                            self.chunk({"metadata": meta, "items": list(stub._objects[resource].values())})
                    self.wfile.write(b"0\r\n\r\n")
                except ConnectionError:
                    return

            def chunk(self, document: Object) -> None:
                line = json.dumps(document).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads it."""

        return Handler

    def _watch(self, handler: BaseHTTPRequestHandler, resource: str, since: int, seconds: float) -> None:
        """Events from `since` on, for one pass of the agent's."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self._changed:
                if len(self._events) == since:
                    self._changed.wait(0.2)
                events, since = self._events[since:], len(self._events)
            for kind, event in events:
                if kind == resource:
                    handler.chunk(event)  # type: ignore[attr-defined]
