"""`regimen-operator`: read the environment, prove the bucket, wait for the Lease, watch."""

import asyncio
import logging
import sys
import time

import kopf
from pythonjsonlogger.json import JsonFormatter

from regimen.act.cluster import Cluster, load_config
from regimen.act.environment import read
from regimen.act.lease import Leadership
from regimen.act.reconcile import Reconciler
from regimen.errors import ConfigurationError
from regimen.handlers.health import serve
from regimen.handlers.operator import Operator
from regimen.store import ConditionalWritesUnsupportedError, Store, StoreUnavailableError

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
    store = Store.from_env()
    leadership = Leadership(environment.namespace, environment.pod)
    operator = Operator(Cluster(api), Reconciler(Cluster(api), store, settings), environment.resync_seconds)
    serve(environment.port, healthy=lambda: _deaf(operator), ready=lambda: None)
    await asyncio.to_thread(_prove, store)
    leadership.campaign()
    await asyncio.to_thread(leadership.elected.wait)
    registry = kopf.get_default_registry()
    operator.watch(registry)
    operator.start()
    await kopf.operator(registry=registry, settings=_settings(), standalone=True, clusterwide=True)


def _prove(store: Store) -> None:
    """Law 7: a bucket that ignores If-None-Match is refused. One that cannot be reached yet is waited for."""
    while True:
        try:
            store.ensure_bucket()
            store.verify_conditional_writes()
        except StoreUnavailableError as error:
            log.warning("waiting for the bucket: %s", error)
            time.sleep(2)
        else:
            return


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
