"""HTTP: parse, check who asks, call one function, answer."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, Counter, generate_latest
from pydantic import ValidationError
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from regimen.spec.routing import LATENCY_BUCKETS_MS, TrafficReport
from regimen_feedback import evidence, export, ledger
from regimen_feedback.documents import Outcome, outcomes_of, problems
from regimen_feedback.identity import ForgedError, RequestIdentity, bearer_matches, reviewer_hash, service_key, verify
from regimen_feedback.tables import reading

LOG = logging.getLogger("regimen.feedback")
FEEDBACK_BYTES = 4 * 1024 * 1024
TRAFFIC_BYTES = 32 * 1024 * 1024
SUBJECT = re.compile("[0-9a-f]{8}")
REFERENCE = re.compile("[0-9a-f]{32}")
TRAFFIC_DAYS = 180
DAY = 24 * 3600

ACCEPTED = Counter("regimen_feedback_outcomes_accepted", "Outcomes kept.")
CONTRADICTED = Counter("regimen_feedback_outcomes_contradicted", "Expert labels that replaced another one.")
FORGED = Counter("regimen_feedback_outcomes_forged", "Outcomes with an id that no router gave.")
REPORTS = Counter("regimen_feedback_traffic_reports", "Reports of routers.", ["result"])


async def body_of(request: Request, limit: int) -> bytes:
    """The body, if it is not larger than may be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise HTTPException(413, f"the body is larger than {limit} bytes")
    return bytes(body)


def check_bearer(request: Request, master: bytes, namespace: str, service: str) -> None:
    """401 unless the caller holds the key of the service."""
    if not bearer_matches(master, namespace, service, request.headers.get("authorization", "")):
        raise HTTPException(401, "the key is not that of the service", {"WWW-Authenticate": "Bearer"})


def check_ids(master: bytes, outcomes: list[Outcome]) -> list[tuple[RequestIdentity, dict[str, Any]]]:
    """What the ids say, and what is said of them, by column; 401 if one is forged, and then none is kept."""
    checked = []
    for index, outcome in enumerate(outcomes):
        try:
            identity, said = verify(master, outcome.request_id), outcome.said()
        except ForgedError as error:
            FORGED.inc()
            raise HTTPException(401, f"requestId of outcome {index} is not one that a router gave") from error
        if said.get("reviewer") is not None:
            said["reviewer"] = reviewer_hash(service_key(master, identity.namespace, identity.service), said["reviewer"])
        checked.append((identity, said))
    return checked


def check_report(report: TrafficReport) -> None:
    """What the document's types do not say. Raises HTTPException."""
    if not all(REFERENCE.fullmatch(reference) for reference in report.references):
        raise HTTPException(422, [{"field": "references", "message": "a reference is 32 hex digits"}])
    for index, arm in enumerate(report.arms):
        for name, histogram in (("latency", arm.latency), ("firstToken", arm.first_token or [0] * len(arm.latency))):
            if len(histogram) != len(LATENCY_BUCKETS_MS) + 1 or min(histogram) < 0:
                raise HTTPException(422, [{"field": f"arms.{index}.{name}", "message": f"{len(LATENCY_BUCKETS_MS) + 1} counts are needed"}])
        if not all(SUBJECT.fullmatch(subject) for subject in arm.subjects):
            raise HTTPException(422, [{"field": f"arms.{index}.subjects", "message": "a subject is 8 hex digits"}])
        if not arm.audited_subjects.keys() <= arm.subjects.keys():
            raise HTTPException(422, [{"field": f"arms.{index}.auditedSubjects", "message": "each is one of subjects"}])
        if min(arm.requests, arm.errors, arm.cut, arm.audited, *arm.subjects.values(), *arm.audited_subjects.values(), 0) < 0:
            raise HTTPException(422, [{"field": f"arms.{index}", "message": "counts cannot be negative"}])


async def forget_daily(engine: Engine, days: int) -> None:
    """Remove old counts, now and every day."""
    while True:
        now = datetime.now(UTC)
        try:
            epochs = await run_in_threadpool(ledger.forget_traffic, engine, now - timedelta(days=days), now)
            LOG.info("old traffic removed", extra={"fields": {"days": days, "epochs": epochs}})
        except SQLAlchemyError as error:  # tomorrow is another day
            LOG.error("old traffic stays", extra={"fields": {"error": type(error).__name__}})
        await asyncio.sleep(DAY)


def create_app(engine: Engine, master: bytes, traffic_days: int = TRAFFIC_DAYS) -> FastAPI:
    """The service over one database, with the master key. Counts of traffic are kept for so many days after the last request."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        forgetting = asyncio.create_task(forget_daily(engine, traffic_days))
        yield
        forgetting.cancel()
        engine.dispose()

    app = FastAPI(title="Regimen feedback", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(ValidationError)
    async def invalid(_: Request, error: ValidationError) -> JSONResponse:
        return JSONResponse({"detail": problems(error)}, 422)

    @app.exception_handler(ledger.TooManyLabelsError)
    async def texts(_: Request, __: ledger.TooManyLabelsError) -> JSONResponse:
        message = f"this service would have more than {ledger.MAX_LABELS} different labels; send labels of its task, never texts"
        return JSONResponse({"detail": [{"field": "predicted, expert", "message": message}]}, 422)

    @app.exception_handler(SQLAlchemyError)
    async def unavailable(_: Request, error: SQLAlchemyError) -> JSONResponse:
        LOG.error("database", extra={"fields": {"error": type(error).__name__}})
        return JSONResponse({"detail": "the database does not answer; nothing was kept"}, 503)

    @app.post("/v1/feedback", status_code=202)
    async def feedback(request: Request) -> dict[str, int]:
        outcomes = outcomes_of(await body_of(request, FEEDBACK_BYTES))
        checked = check_ids(master, outcomes)
        written = await run_in_threadpool(ledger.write_outcomes, engine, checked, datetime.now(UTC))
        ACCEPTED.inc(len(outcomes))
        CONTRADICTED.inc(written.contradicted)
        return {"accepted": len(outcomes), "replaced": written.replaced, "contradicted": written.contradicted}

    @app.post("/v1/traffic", status_code=202)
    async def traffic(request: Request) -> dict[str, bool]:
        report = TrafficReport.model_validate_json(await body_of(request, TRAFFIC_BYTES))
        check_bearer(request, master, report.namespace, report.service)
        check_report(report)
        added = await run_in_threadpool(ledger.write_traffic, engine, report, datetime.now(UTC))
        REPORTS.labels("added" if added else "repeated").inc()
        return {"added": added}

    @app.get("/v1/evidence/{namespace}/{service}/{epoch}")
    async def read_evidence(request: Request, namespace: str, service: str, epoch: str, audited_only: bool = False) -> Response:
        check_bearer(request, master, namespace, service)
        found = await run_in_threadpool(evidence.read, engine, namespace, service, epoch, datetime.now(UTC), audited_only)
        return Response(found.model_dump_json(by_alias=True), media_type="application/json")

    @app.get("/v1/export/{namespace}/{service}")
    def read_export(request: Request, namespace: str, service: str) -> StreamingResponse:
        check_bearer(request, master, namespace, service)
        lines: Iterator[str] = (f"{record.model_dump_json(by_alias=True)}\n" for record in export.records(engine, namespace, service))
        return StreamingResponse(lines, media_type="application/x-ndjson")

    @app.get("/healthz")
    def healthz() -> PlainTextResponse:
        """Alive; a database that is away is no reason to start anew."""
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    def readyz() -> PlainTextResponse:
        with reading(engine).connect() as connection:
            connection.execute(text("SELECT 1"))
        return PlainTextResponse("ok\n")

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app
