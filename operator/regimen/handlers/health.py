"""One HTTP port: /healthz, /readyz and /metrics."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Check = Callable[[], str | None]
"""None: well. Otherwise what is wrong."""


def serve(port: int, healthy: Check, ready: Check) -> ThreadingHTTPServer:
    """Serve in a thread of its own. A standby operator is healthy and ready: it waits for the Lease."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
            elif self.path in {"/healthz", "/readyz"}:
                wrong = healthy() if self.path == "/healthz" else ready()
                self._answer(200 if wrong is None else 503, (wrong or "ok").encode(), "text/plain")
            else:
                self._answer(404, b"not found", "text/plain")

        def _answer(self, code: int, body: bytes, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes come every few seconds; they are not logged."""

    server = ThreadingHTTPServer(("", port), Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
