"""HAProxy's configuration, written once: whatever changes later changes through the runtime API, never by a reload.

Knows what HAProxy does with a request; which versions there are and where they run is not in here. Bodies that do not fit small buffers
take a turn through a second HAProxy with large ones, which does nothing but check them: see large.py.
"""

import fcntl
import os
import signal
import time
from collections.abc import Iterator

from regimen_router.body import BODY_LIMIT, answer, checks, write_checks
from regimen_router.route import BUCKETS, KEY, SLOTS
from regimen_router.settings import Settings

SERVERS = 16
"""Replicas that an arm can have."""
BUFFER = 65_536
SMALL_BODY = 32_768
HEADER_LIMIT = 16_384
"""Body and header together fit the buffer with room to spare: what was checked is the whole body, never its beginning."""
BODIES_AT_ONCE = 64
CHECKED_ID = 2
REFERENCE_LIMIT = 256
HOLD_SECONDS = 30
SIGNING_KEY_VARIABLE = "REGIMEN_ROUTER_KEY"
REFERENCE_KEY_VARIABLE = "REGIMEN_REFERENCE_KEY"
LOG_PREFIX = "regimen"

GLOBAL = """\
global
    stats socket {socket} mode 600 level admin
    log 127.0.0.1:{log_port} len 2048 format raw local0
    .if version_atleast(3.1)
    tune.lua.bool-sample-conversion normal
    .endif
    lua-load {lua}
    lua-load {body_lua}
    maxconn 1000
    nbthread 2
    tune.bufsize {buffer}
    # SIGUSR1: still accept for as long as others need to hear that this pod leaves, then finish what there is.
    grace {grace}s
    # What is still running then is cut, logged and counted.
    hard-stop-after {drain}s

"""

DEFAULTS = """\
defaults
    mode http
    log global
    option dontlognull
    # A connection to llama-server holds one of its threads even when idle, and reuse races with its closing it.
    option http-server-close
    option redispatch 1
    option abortonclose
    retries 3
    timeout connect 500ms
    timeout check 2s
    timeout client 15m
    timeout server 15m
    timeout queue {hold}s
    timeout http-request 10s
    timeout http-keep-alive 15s
"""

FRONTEND = """\
frontend traffic
    bind :{port}
    # By this they come back whose bodies were checked elsewhere.
    bind unix@{checked} mode 600 id {checked_id}
    log-format "{log_prefix}|%[var(txn.version)]|%[var(txn.epoch)]|%[var(txn.subject_hash)]|%[var(txn.reference_hash)]|%[var(txn.audit)]|%ST|%Ta|%Td|%rc|%ts"
    acl completion path /v1/chat/completions /v1/completions
    acl reading path /v1/models /health
    acl checked so_id {checked_id}
    acl large req.hdr_val(content-length) gt {small_body}
    acl large req.hdr(transfer-encoding) -m found
    # Only completions are evidence; the query and every header stay out of the log.
    http-request set-log-level silent unless completion {{ method POST }}

    http-request return {e404} unless completion or reading
    http-request return {e405_post} if completion !{{ method POST }}
    http-request return {e405_get} if reading !{{ method GET }}
    http-request return {e415} if {{ req.fhdr(content-encoding) -m found }}
    http-request return {e431} if {{ req.hdrs,length gt {header_limit} }}
    http-request use-service lua.too_large if {{ req.hdr_val(content-length) gt {body_limit} }}
    http-request set-var(txn.elsewhere) bool(true) if completion large !checked
    http-request set-log-level silent if {{ var(txn.elsewhere) -m bool }}
    http-request allow if {{ var(txn.elsewhere) -m bool }}
{checks}
    http-request return {e400_reference} if {{ req.fhdr(x-reference) -m len gt {reference_limit} }}

    http-request set-var(txn.uuid) uuid()
    http-request set-var(txn.subject) req.fhdr({subject_header})
    # Without a subject every request is a subject of its own.
    http-request set-var(txn.subject) var(txn.uuid) unless {{ var(txn.subject) -m len gt 0 }}
    http-request set-var(txn.audit_draw) rand(1000000)
    # The record that is asked about: its keyed hash goes into the id, itself only into the address of the case.
    http-request set-var(txn.reference) req.fhdr(x-reference)
    http-request set-var(txn.reference_hash) str(-)
    http-request set-var(txn.reference_hash) "var(txn.reference),hmac(sha256,${{{reference_key_variable}}}),hex,lower,bytes(0,32)" if {{ var(txn.reference) -m len gt 0 }}
    http-request del-header x-regimen- -m beg
    http-request del-header x-reference
    http-request del-header {subject_header}
    http-request set-uri %[path]

{assign}
    # Nobody there: wait for a replica or for another route, then look again. Reading does not wait.
    http-request set-var(txn.held) bool(true) if completion !{{ var(txn.slot),nbsrv gt 0 }}
    http-request lua.hold if {{ var(txn.held) -m bool }}
{assign_held}
    http-request return {e503} hdr Retry-After 1 unless {{ var(txn.slot) -m found }}

    # The id: docs/architecture.md, feedback's identity.py.
    http-request set-var-fmt(txn.plain) "{namespace}|{service}|%[var(txn.version)]|%[var(txn.epoch)]|%[var(txn.subject_hash)]|%[var(txn.reference_hash)]|%[var(txn.audit)]|%[var(txn.uuid)]"
    http-request set-var(txn.payload) var(txn.plain),ub64enc
    http-request set-var(txn.mac) "var(txn.payload),hmac(sha256,${{{key_variable}}}),hex,lower,bytes(0,32)"

    http-response del-header x-regimen- -m beg unless {{ var(txn.elsewhere) -m bool }}
    # llama-server echoes any origin.
    http-response del-header access-control- -m beg
    http-after-response set-header X-Regimen-Version %[var(txn.version)] if {{ var(txn.mac) -m found }}
    http-after-response set-header X-Regimen-Request-Id %[var(txn.payload)].%[var(txn.mac)] if {{ var(txn.mac) -m found }}
    http-after-response set-header X-Regimen-Audit true if {{ var(txn.mac) -m found }} {{ var(txn.audit) -m str 1 }}
{decision}{review}    use_backend large if {{ var(txn.elsewhere) -m bool }}
    use_backend %[var(txn.slot)]
"""

ASSIGN = """\
    http-request set-var(txn.route) str({key}),map({route_map}){when}
    http-request set-var(txn.epoch) var(txn.route),field(2,|){when}
    http-request set-var(txn.salt) var(txn.route),field(3,|){when}
    http-request set-var(txn.threshold) var(txn.route),field(4,|){when}
    http-request set-var(txn.slot) var(txn.route),field(5,|){when}
    http-request set-var(txn.version) var(txn.route),field(6,|){when}
    http-request set-var(txn.audit_share) var(txn.route),field(9,|){when}
    http-request set-var(txn.digest) var(txn.subject),hmac(sha256,txn.salt),bytes(0,4){when}
    http-request set-var(txn.subject_hash) var(txn.digest),hex,lower{when}
    http-request set-var(txn.above) var(txn.digest),be2dec(,4),mod(10000),sub(txn.threshold){when}
    http-request set-var(txn.slot) var(txn.route),field(7,|) if {{ var(txn.above) -m int lt 0 }}{and_when}
    http-request set-var(txn.version) var(txn.route),field(8,|) if {{ var(txn.above) -m int lt 0 }}{and_when}
    http-request set-var(txn.audit_above) var(txn.audit_draw),sub(txn.audit_share){when}
    http-request set-var(txn.audit) str(0){when}
    http-request set-var(txn.audit) str(1) if {{ var(txn.audit_above) -m int lt 0 }}{and_when}
"""

LARGE = """\
backend large
    # So many large bodies are in memory at once; others wait.
    server bodies unix@{bodies} maxconn {bodies_at_once}
"""

BACKEND = """\
backend {slot}
    balance leastconn
    option httpchk
    http-check send meth GET uri /health
    http-check expect status 200
    # A completion changes nothing, so one that got no answer may be asked again, of another replica of the same arm. One that timed
    # out may not: it would be computed twice. 503 is a replica that is still loading.
    retry-on conn-failure empty-response 503
    # Refused or lost connections: two checks, 250 + 100 ms apart and 250 ms long at most, so a dead replica is out within a second. One
    # that is only slow to say that it is well has two seconds.
    default-server inter 250ms fastinter 100ms fall 2 rise 1 maxconn 100 observe layer4 error-limit 3 on-error mark-down
    server-template s 1-{servers} 0.0.0.0:8080 check disabled
"""

HOLD_LUA = """\
-- Holds a request while its arm has no replica that is up. HAProxy itself queues only for replicas that are full, and answers 503
-- where there is none. Another route lets it go once every arm that has subjects by it has a replica: its own may be any of them.
local routes = Map.new("{route_map}", Map._str)

local function complete(txn, route)
  local field = {{}}
  for word in string.gmatch(route, "[^|]+") do field[#field + 1] = word end
  local threshold = tonumber(field[4])
  return (threshold == {buckets} or txn.f:nbsrv(field[5]) > 0) and (threshold == 0 or txn.f:nbsrv(field[7]) > 0)
end

core.register_action("hold", {{ "http-req" }}, function(txn)
  local mine, slot = txn:get_var("txn.route"), txn:get_var("txn.slot")
  for _ = 1, {hold} * 20 do
    local route = routes:lookup("{key}")
    if route == mine then
      if route ~= nil and txn.f:nbsrv(slot) > 0 then return end
    elseif route ~= nil and complete(txn, route) then
      return
    end
    core.msleep(50)
  end
end, 0)
"""


def _errors() -> str:
    """Bodies of the answers that HAProxy gives by itself."""
    messages = {
        400: "bad request",
        408: "the request did not arrive in time",
        500: "internal error of the router",
        502: "the replica failed",
        503: "no replica is available",
        504: "the replica did not answer in time",
    }
    return "".join(f"    http-error {answer(status, message)}\n" for status, message in messages.items())


def _assign(settings: Settings, held: bool) -> str:
    """The rules that give a request its arm; once more for a request that was held."""
    condition = "{ var(txn.held) -m bool }"
    return ASSIGN.format(
        key=KEY, route_map=settings.route_map, when=f" if {condition}" if held else "", and_when=f" {condition}" if held else ""
    )


def _frontend(settings: Settings) -> str:
    decision = '    http-after-response set-header X-Regimen-Decision "recommendation; a person decides" if { var(txn.mac) -m found }\n'
    # The template's characters are checked where it enters: settings.py.
    address = settings.review_url_template.replace("{reference}", "%[var(txn.reference),url_enc]")
    review = f'    http-after-response set-header X-Regimen-Review-Url "{address}" if {{ var(txn.mac) -m found }} {{ var(txn.reference) -m len gt 0 }}\n'
    return FRONTEND.format(
        port=settings.port,
        log_prefix=LOG_PREFIX,
        header_limit=HEADER_LIMIT,
        body_limit=BODY_LIMIT,
        checked=settings.checked,
        checked_id=CHECKED_ID,
        small_body=SMALL_BODY,
        checks=checks(settings.fields, "completion !checked"),
        reference_limit=REFERENCE_LIMIT,
        reference_key_variable=REFERENCE_KEY_VARIABLE,
        subject_header=settings.subject_header.lower(),
        namespace=settings.namespace,
        service=settings.service,
        key_variable=SIGNING_KEY_VARIABLE,
        assign=_assign(settings, held=False),
        assign_held=_assign(settings, held=True),
        decision=decision if settings.decides_label else "",
        review=review if settings.review_url_template else "",
        e400_reference=answer(400, f"X-Reference is longer than {REFERENCE_LIMIT} bytes; send the id of the record alone"),
        e404=answer(404, "no such path; /v1/chat/completions, /v1/completions, /v1/models and /health are served"),
        e405_post=answer(405, "use POST", " hdr Allow POST"),
        e405_get=answer(405, "use GET", " hdr Allow GET"),
        e415=answer(415, "compressed bodies are not accepted"),
        e431=answer(431, f"the headers are larger than {HEADER_LIMIT} bytes"),
        e503=answer(503, "the router knows no version to serve yet"),
    )


def render(settings: Settings) -> str:
    """haproxy.cfg. Holds no secret: the signing key comes from the environment."""
    top = GLOBAL.format(
        socket=settings.socket,
        log_port=settings.log_port,
        lua=settings.lua,
        body_lua=settings.body_lua,
        buffer=BUFFER,
        grace=settings.grace,
        drain=settings.drain_timeout,
    )
    backends = "\n".join(BACKEND.format(slot=slot, servers=SERVERS) for slot in SLOTS)
    large = LARGE.format(bodies=settings.bodies, bodies_at_once=BODIES_AT_ONCE)
    return f"{top}\n{defaults()}\n{_frontend(settings)}\n{large}\n{backends}"


def defaults() -> str:
    """What both HAProxies do alike."""
    return DEFAULTS.format(hold=HOLD_SECONDS) + _errors()


def render_lua(settings: Settings) -> str:
    """hold.lua."""
    return HOLD_LUA.format(route_map=settings.route_map, key=KEY, hold=HOLD_SECONDS, buckets=BUCKETS)


def write(settings: Settings) -> None:
    """Write configuration, Lua and an empty map. A HAProxy that starts knows no route until the agent tells it."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    settings.config.write_text(render(settings))
    settings.lua.write_text(render_lua(settings))
    write_checks(settings.body_lua, settings.fields)
    settings.route_map.write_text("")


def environment(settings: Settings) -> Iterator[tuple[str, str]]:
    """HAProxy's environment: what it needs of ours, and the keys."""
    yield from ((name, value) for name, value in os.environ.items() if name != "SIGNING_KEY")
    yield SIGNING_KEY_VARIABLE, settings.signing_key_base64
    yield REFERENCE_KEY_VARIABLE, settings.reference_key_base64


def run(settings: Settings) -> None:
    """Become HAProxy, in the foreground: signals reach it as PID 1, and its log goes to the container's.

    A lock survives exec and ends with the process: by it the agent, in the other container, knows whether HAProxy lives.
    """
    write(settings)
    lock = os.open(settings.lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.set_inheritable(lock, True)
    os.execvpe("haproxy", ["haproxy", "-db", "-f", str(settings.config)], dict(environment(settings)))


def drain() -> None:
    """For preStop: ask HAProxy (PID 1 of this container) to finish and wait; the container ends when it has.

    The SIGTERM that follows a preStop would make HAProxy drop its connections at once.
    """
    os.kill(1, signal.SIGUSR1)
    while True:
        time.sleep(1)
