"""A second HAProxy, with buffers that hold a large body whole. It checks, and hands back to the first one what may pass.

Buffers have one size in a process, and HAProxy copies a whole buffer for every request that it may have to repeat: large ones for all
would burden every small request. Here a request is repeated, too, when the replica it was given to dies.
"""

import os

from regimen_router.body import BODY_LIMIT, checks, write_checks
from regimen_router.haproxy import BODIES_AT_ONCE, HEADER_LIMIT, defaults
from regimen_router.settings import Settings

BUFFER = BODY_LIMIT + HEADER_LIMIT + 49_152
"""It takes only as much memory as was written into it."""

CONFIG = """\
global
    .if version_atleast(3.1)
    tune.lua.bool-sample-conversion normal
    .endif
    lua-load {lua}
    maxconn {maxconn}
    nbthread 1
    tune.bufsize {buffer}
    grace {grace}s
    hard-stop-after {drain}s

{defaults}
frontend bodies
    bind unix@{bodies} mode 600
{checks}
    use_backend checked

backend checked
    # 502: the replica went away without an answer. The first HAProxy no longer has the body; this one does.
    retry-on conn-failure empty-response 502
    server router unix@{checked}
"""


def render(settings: Settings) -> str:
    """large.cfg."""
    return CONFIG.format(
        lua=settings.large_lua,
        maxconn=2 * BODIES_AT_ONCE,
        buffer=BUFFER,
        grace=settings.grace,
        drain=settings.drain_timeout,
        defaults=defaults().replace("    log global\n", ""),  # the first one counts
        bodies=settings.bodies,
        checked=settings.checked,
        checks=checks(settings.large_fields, "TRUE"),
    )


def run(settings: Settings) -> None:
    """Become HAProxy, in the foreground."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    settings.large_config.write_text(render(settings))
    write_checks(settings.large_lua, settings.large_fields)
    os.execvp("haproxy", ["haproxy", "-db", "-f", str(settings.large_config)])
