"""HAProxy's log lines -> increments per version, and their way to the feedback service.

Increments are taken in one report at a time, which is posted under one sequence number until it is acknowledged; meanwhile the
next ones add up. A line holds version, rollout, keyed hashes of subject and record, status and times, and nothing else.
"""

import logging
import threading
from bisect import bisect_left
from dataclasses import dataclass, field
from uuid import uuid4

import httpx
from prometheus_client import Counter, Histogram

from regimen.spec.routing import LATENCY_BUCKETS_MS, ArmTraffic, TrafficReport
from regimen_router.haproxy import LOG_PREFIX
from regimen_router.settings import Settings

LOG = logging.getLogger("regimen.router.traffic")
MAX_SUBJECTS = 50_000
"""Subjects kept per version while the feedback service is away; requests of more are counted without theirs."""
MAX_REFERENCES = 200_000
NO_REFERENCE = "-"

SECONDS = tuple(bound / 1000 for bound in LATENCY_BUCKETS_MS[::4])
REQUESTS = Counter("regimen_router_requests", "Requests by version and class of status.", ["version", "status"])
FAILED = Counter("regimen_router_failed_requests", "Requests with a failed attempt or an answer of 5xx.", ["version"])
CUT = Counter("regimen_router_cut_requests", "Answers that ended early because their replica or the router stopped.", ["version"])
TOTAL = Histogram("regimen_router_request_seconds", "Whole request.", ["version"], buckets=SECONDS)
FIRST_BYTE = Histogram("regimen_router_first_byte_seconds", "Until the answer began.", ["version"], buckets=SECONDS)
SUBJECTS_DROPPED = Counter("regimen_router_subjects_dropped", "Requests counted without their subject.")
REFERENCES_DROPPED = Counter("regimen_router_references_dropped", "Answers whose record could not be remembered.")
MALFORMED = Counter("regimen_router_log_lines_malformed", "Log lines that could not be read.")


@dataclass(frozen=True)
class Request:
    """One request, as HAProxy saw it. Times in milliseconds."""

    version: str
    epoch: str
    subject: str
    reference: str
    audit: bool
    status: int
    total: int
    first_byte: int
    retries: int
    termination: str

    @property
    def aborted(self) -> bool:
        """The client went away first; how long it waited says nothing about the arm."""
        return self.termination[:1] in {"C", "c"}

    @property
    def failed(self) -> bool:
        """Answered by 5xx, cut, or tried again. Once per request, however many attempts: a rate stays a rate."""
        return self.status >= 500 or self.retries > 0 or self.termination[:1] in {"S", "s", "K"}

    @property
    def cut(self) -> bool:
        """Still running when its replica or the router stopped."""
        return self.termination[:1] == "K" or (self.termination[:1] in {"S", "s"} and self.termination[1:2] in {"D", "L"})

    @property
    def answered(self) -> bool:
        return 0 < self.status < 400


def parse(line: str) -> Request | None:
    """A request's line; None for HAProxy's other messages and for requests that got no arm. Raises ValueError."""
    parts = line.strip().split("|")
    if parts[0] != LOG_PREFIX:
        return None
    version, epoch, subject, reference, audit, status, total, data, retries, termination = parts[1:]
    if version in {"", "-"}:
        return None
    active, sending = int(total.lstrip("+")), int(data.lstrip("+"))
    return Request(
        version,
        epoch,
        subject,
        reference,
        audit == "1",
        int(status),
        active,
        max(active - max(sending, 0), 0),
        int(retries.lstrip("+")),
        termination,
    )


@dataclass
class _Arm:
    requests: int = 0
    errors: int = 0
    cut: int = 0
    audited: int = 0
    latency: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BUCKETS_MS) + 1))
    first_token: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BUCKETS_MS) + 1))
    subjects: dict[str, int] = field(default_factory=dict)
    audited_subjects: dict[str, int] = field(default_factory=dict)

    def add(self, request: Request) -> None:
        self.requests += 1
        self.errors += request.failed
        self.cut += request.cut
        self.audited += request.audit
        if not request.aborted:
            self.latency[bisect_left(LATENCY_BUCKETS_MS, request.total)] += 1
            self.first_token[bisect_left(LATENCY_BUCKETS_MS, request.first_byte)] += 1
        if request.subject in self.subjects or len(self.subjects) < MAX_SUBJECTS:
            self.subjects[request.subject] = self.subjects.get(request.subject, 0) + 1
            if request.audit:
                self.audited_subjects[request.subject] = self.audited_subjects.get(request.subject, 0) + 1
        else:
            SUBJECTS_DROPPED.inc()


class Ledger:
    """Increments since the last report, and the report that is on its way. Any thread may add."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._arms: dict[tuple[str, str], _Arm] = {}
        self._references: dict[str, bool] = {}
        self._sequence = 0
        self._pending: TrafficReport | None = None
        self.instance = uuid4().hex

    def add(self, request: Request) -> None:
        """Count one request."""
        with self._lock:
            self._arms.setdefault((request.version, request.epoch), _Arm()).add(request)
            self._refer(request)
        REQUESTS.labels(request.version, f"{request.status // 100}xx" if request.status > 0 else "none").inc()
        if request.failed:
            FAILED.labels(request.version).inc()
        if request.cut:
            CUT.labels(request.version).inc()
        if not request.aborted:
            TOTAL.labels(request.version).observe(request.total / 1000)
            FIRST_BYTE.labels(request.version).observe(request.first_byte / 1000)

    def _refer(self, request: Request) -> None:
        """Remember that a record got an answer, and whether somebody may have decided with it before their eyes."""
        if request.reference == NO_REFERENCE or not request.answered:
            return
        if request.reference in self._references or len(self._references) < MAX_REFERENCES:
            self._references[request.reference] = self._references.get(request.reference, False) or not request.audit
        else:
            REFERENCES_DROPPED.inc()

    def next_report(self) -> TrafficReport | None:
        """The report to send: the one not yet acknowledged, or a new one if there is something to say."""
        with self._lock:
            if self._pending is None and self._arms:
                self._sequence += 1
                self._pending = TrafficReport(
                    namespace=self._settings.namespace,
                    service=self._settings.service,
                    instance=self.instance,
                    sequence=self._sequence,
                    arms=[
                        ArmTraffic(
                            version=version,
                            epoch=epoch,
                            requests=arm.requests,
                            errors=arm.errors,
                            cut=arm.cut,
                            latency=arm.latency,
                            first_token=arm.first_token,
                            audited=arm.audited,
                            subjects=arm.subjects,
                            audited_subjects=arm.audited_subjects,
                        )
                        for (version, epoch), arm in self._arms.items()
                    ],
                    references=self._references,
                )
                self._arms, self._references = {}, {}
            return self._pending

    def acknowledged(self, report: TrafficReport) -> None:
        """The feedback service has it."""
        with self._lock:
            if self._pending is report:
                self._pending = None


class Reporter:
    """Posts reports to the feedback service."""

    def __init__(self, settings: Settings, ledger: Ledger, transport: httpx.BaseTransport | None = None) -> None:
        self._ledger, self._url = ledger, settings.feedback_url
        headers = {"Authorization": f"Bearer {settings.signing_key}", "Content-Type": "application/json"}
        self._http = httpx.Client(timeout=5, headers=headers, transport=transport)

    def send(self) -> bool:
        """Post what there is. False where it was not acknowledged: then the same report is sent again next time."""
        report = self._ledger.next_report() if self._url else None
        if report is None:
            return True
        try:
            answer = self._http.post(f"{self._url}/v1/traffic", content=report.model_dump_json(by_alias=True))
            answer.raise_for_status()
        except httpx.HTTPError as error:
            LOG.warning("traffic not acknowledged", extra={"fields": {"sequence": report.sequence, "error": type(error).__name__}})
            return False
        self._ledger.acknowledged(report)
        return True

    def flush(self, attempts: int = 5) -> bool:
        """Before the end: the report on its way and the one after it."""
        pause = threading.Event()
        for _ in range(attempts):
            if self.send() and self._ledger.next_report() is None:
                return True
            pause.wait(0.5)
        return False
