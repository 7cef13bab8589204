"""`regimen-operator`: read the environment, wait for the Lease, watch; and prove the bucket beside that, since a rollback needs none."""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable

import kopf
from pythonjsonlogger.json import JsonFormatter

from regimen.act.cluster import Cluster, load_config
from regimen.act.environment import read
from regimen.act.lease import Leadership
from regimen.act.reconcile import Reconciler
from regimen.errors import ConfigurationError
from regimen.handlers.health import serve
from regimen.handlers.operator import Operator
from regimen.store import ConditionalWritesUnsupportedError, Store
from regimen.store.proof import ProvenStore, prove

log = logging.getLogger("regimen")


def main() -> None:
    """Run until the lease is lost or a signal comes. Exit 1: the environment or the bucket is not fit."""
    _log_as_json()
    try:
        asyncio.run(_run())
    except (ConfigurationError, ConditionalWritesUnsupportedError) as error:
        # One sentence says it; a trace would hide it.
        log.error("%s", error)
        sys.exit(1)


async def _run() -> None:
    environment, settings = read()
    api = load_config()
    bucket, proven = Store.from_env(), threading.Event()
    leadership = Leadership(environment.namespace, environment.pod)
    reconciler = Reconciler(Cluster(api), ProvenStore(bucket, proven), settings)
    operator = Operator(Cluster(api), reconciler, environment.resync_seconds)
    serve(environment.port, healthy=lambda: _deaf(operator), ready=lambda: None)
    refused = _beside(lambda: prove(bucket, proven))
    leadership.campaign()
    await asyncio.to_thread(leadership.elected.wait)
    registry = kopf.get_default_registry()
    operator.watch(registry)
    operator.start()
    watching = asyncio.ensure_future(kopf.operator(registry=registry, settings=_settings(), standalone=True, clusterwide=True))
    await asyncio.wait({watching, refused}, return_when=asyncio.FIRST_COMPLETED)
    if refused.done() and refused.exception() is not None:
        watching.cancel()
        await refused
    await watching


def _beside(work: Callable[[], None]) -> "asyncio.Future[None]":
    """Do it in a thread that keeps nobody from ending. The future is done only when it fails."""
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the loop raises it again
            loop.call_soon_threadsafe(failed.set_exception, error)

    threading.Thread(target=run, name="bucket", daemon=True).start()
    return failed


def _deaf(operator: Operator) -> str | None:
    deaf = operator.hearing.deaf()
    return f"no events are heard of {', '.join(deaf)}" if deaf else None


def _settings() -> kopf.OperatorSettings:
    """Watches end and begin anew every few minutes, so that a connection that died unseen is not waited for."""
    settings = kopf.OperatorSettings()
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    return settings


def _log_as_json() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in ("kopf", "httpx", "leaderelection"):
        logging.getLogger(name).setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
