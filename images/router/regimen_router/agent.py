"""The agent: keeps HAProxy at what Kubernetes says, tells what it really does, and passes its figures on.

One loop decides, every second and whenever something changed; the threads around it only bring facts (cluster), count (log lines),
post (reports) and answer (HTTP). All state that matters is HAProxy's own, so agent and HAProxy may each restart at any time.
"""

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kubernetes import client, config
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, generate_latest

from regimen.spec.routing import RouterState, Routing
from regimen_router.cluster import Cluster
from regimen_router.plan import Desired, is_ready, plan, report
from regimen_router.route import RouteError
from regimen_router.runtime import HaproxyError, Runtime, lives
from regimen_router.settings import Settings
from regimen_router.traffic import MALFORMED, Ledger, Reporter, parse

LOG = logging.getLogger("regimen.router.agent")
SYNC_SECONDS = 1
REPORT_SECONDS = 2
STALE_SECONDS = 15
RECEIVE_BUFFER = 8 * 1024 * 1024
LINE = 4096
GATHER_SECONDS = 0.02
"""How long log lines wait for others. The kernel may grant a small buffer only, which a longer wait could fill."""
SYNC_FAILED = Counter("regimen_router_sync_failures", "Passes that did not bring HAProxy to what is wanted.")
GENERATION = Gauge("regimen_router_generation", "Generation of the Routing in force.")
IN_FLIGHT = Gauge("regimen_router_in_flight", "Requests in flight and waiting.", ["version"])


class Steward:
    """Brings HAProxy to what is wanted, one pass at a time, and knows how the last one ended."""

    def __init__(self, settings: Settings, runtime: Runtime, desired: Callable[[], Desired | None]) -> None:
        self._settings, self._runtime, self._desired = settings, runtime, desired
        self._generation = 0
        self._failure = ""
        self._remembered: Routing | None = None
        self.state = RouterState(pod=settings.pod, generation=0)
        self.ready = False
        self.last_pass = time.monotonic()

    def sync(self) -> None:
        """Observe, apply, observe again, report. A pass that fails is repeated.

        HAProxy out of hand: not ready. A routing that cannot be carried out: on with the last good one, whose generation `/state`
        goes on to say. Every router gets the same document, and all of them unready would be an outage for a word.
        """
        self.last_pass = time.monotonic()
        try:
            desired = self._desired()
            self._apply(desired)
            self.ready, self._failure = is_ready(desired, self.state, self.ready), ""
        except (HaproxyError, RouteError) as error:
            SYNC_FAILED.inc()
            if isinstance(error, HaproxyError):
                self.ready = False
            if str(error) != self._failure:  # once, not once a second
                LOG.warning("HAProxy is not as wanted", extra={"fields": {"error": str(error)}})
            self._failure = str(error)

    def _apply(self, desired: Desired | None) -> None:
        actual = self._runtime.observe()
        if actual.route is None:
            self._generation = 0
        if desired is not None:
            changes = plan(desired, actual, self._settings.route_map)
            answers = [self._runtime.ask(command).strip() for command in changes.commands]
            if changes.commands:
                actual = self._runtime.observe()
                LOG.info("applied", extra={"fields": {"generation": desired.routing.generation, "commands": len(changes.commands)}})
            if changes.left_out:
                LOG.error("more replicas than servers", extra={"fields": {"left_out": changes.left_out}})
            if not plan(desired, actual, self._settings.route_map).none:
                raise HaproxyError(f"commands had no effect: {[answer for answer in answers if answer]}")
            self._generation = desired.routing.generation
            self._remember(desired.routing)
        self._tell(report(self._settings.pod, self._generation, actual, desired.pods if desired else ()))

    def _remember(self, routing: Routing) -> None:
        """Keep what was carried out, for an agent that starts while the document in Kubernetes cannot be read."""
        if routing == self._remembered:
            return
        new = self._settings.last_good.with_suffix(".new")
        try:
            new.write_text(routing.model_dump_json(by_alias=True))
            new.replace(self._settings.last_good)
        except OSError as error:
            LOG.warning("routing cannot be kept", extra={"fields": {"error": type(error).__name__}})
        self._remembered = routing

    def _tell(self, state: RouterState) -> None:
        self.state = state
        GENERATION.set(state.generation)
        for arm in (state.stable, state.candidate):
            if arm:
                IN_FLIGHT.labels(arm.version).set(arm.in_flight)

    @property
    def alive(self) -> bool:
        return time.monotonic() - self.last_pass < STALE_SECONDS


def http_server(steward: Steward, port: int) -> ThreadingHTTPServer:
    """/state, /healthz, /readyz and /metrics."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = _page(steward, self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes every second are no news."""

    return ThreadingHTTPServer(("", port), Handler)


def _page(steward: Steward, path: str) -> tuple[HTTPStatus, str, bytes]:
    """Status, type and body of an answer."""
    if path == "/state":
        return HTTPStatus.OK, "application/json", steward.state.model_dump_json(by_alias=True).encode()
    if path == "/metrics":
        return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest()
    if path not in {"/healthz", "/readyz"}:
        return HTTPStatus.NOT_FOUND, "text/plain", b"not found\n"
    fine = steward.alive if path == "/healthz" else steward.ready
    return (HTTPStatus.OK, "text/plain", b"ok\n") if fine else (HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", b"not yet\n")


def listen(port: int) -> socket.socket:
    """The socket that HAProxy logs to. A large buffer: a burst must not lose lines."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    receiver.bind(("127.0.0.1", port))
    return receiver


def receive(receiver: socket.socket, ledger: Ledger) -> None:
    """Count log lines for ever; what HAProxy says of its servers goes on to our log."""
    for line in lines(receiver):
        try:
            request = parse(line)
        except ValueError:
            MALFORMED.inc()
            continue
        if request:
            ledger.add(request)
        elif line.startswith(("Server ", "backend ", "Health ")):
            LOG.info("haproxy", extra={"fields": {"says": line.strip()[:200]}})


def lines(receiver: socket.socket) -> Iterator[str]:
    """Log lines, those of a short while together: to wake for each would take the processor from what answers the next request."""
    while True:
        yield receiver.recv(LINE).decode(errors="replace")
        time.sleep(GATHER_SECONDS)
        with suppress(BlockingIOError):
            while True:
                yield receiver.recv(LINE, socket.MSG_DONTWAIT).decode(errors="replace")


def outlive_haproxy(runtime: Runtime, settings: Settings, tick: Callable[[], None], patience: float = 3) -> None:
    """After SIGTERM: if HAProxy is finishing too, steer and count until its last request is answered; if it stays, leave at once."""
    deadline, finishing = time.monotonic() + patience, False
    while lives(settings.lock) and (finishing or time.monotonic() < deadline):
        try:
            finishing = finishing or runtime.stopping()
        except HaproxyError:
            finishing = True  # it closes its socket on the way out
        tick()
        time.sleep(0.2)


def connect() -> None:
    """Use the pod's service account. Without the client's own validation: it refuses the slice of a Service that has no pods."""
    configuration = client.Configuration()
    config.load_incluster_config(client_configuration=configuration)
    configuration.client_side_validation = False
    client.Configuration.set_default(configuration)


def run(settings: Settings) -> None:
    """Until SIGTERM, and then until HAProxy has answered its last request and every figure is reported."""
    connect()
    wake, stop = threading.Event(), threading.Event()

    def end(*_: object) -> None:
        stop.set()
        wake.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, end)
    runtime, ledger = Runtime(settings.socket, settings.route_map), Ledger(settings)
    cluster, reporter = Cluster(settings.namespace, settings.service, wake.set, settings.last_good), Reporter(settings, ledger)
    steward = Steward(settings, runtime, cluster.desired)
    server = http_server(steward, settings.agent_port)
    for target, arguments in (
        (receive, (listen(settings.log_port), ledger)),
        (server.serve_forever, ()),
        (report_forever, (reporter, stop)),
    ):
        threading.Thread(target=target, args=arguments, daemon=True).start()
    cluster.start()
    while not stop.is_set():
        wake.clear()
        steward.sync()
        wake.wait(SYNC_SECONDS)
    outlive_haproxy(runtime, settings, steward.sync)
    time.sleep(0.2)  # the last log lines
    if not reporter.flush():
        LOG.error("some figures were not acknowledged and are lost")


def report_forever(reporter: Reporter, stop: threading.Event) -> None:
    """Post every two seconds until the end, when the main thread takes over."""
    while not stop.wait(REPORT_SECONDS):
        reporter.send()
