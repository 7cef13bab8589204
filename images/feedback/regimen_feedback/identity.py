"""Request ids: `<payload>.<mac>`, see docs/architecture.md.

payload = base64url, unpadded, of `namespace|service|version|epoch|subjectHash|referenceHash|audit|uuid`; mac = the first 32 hex digits of
HMAC-SHA256(key of the service, payload). A router signs with its service's key; the master key, from which every service's key
follows, is here alone.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest, digest

MAC_DIGITS = 32
REFERENCE_DIGITS = 32
REVIEWER_DIGITS = 16
NO_REFERENCE = "-"


class ForgedError(Exception):
    """Not an id that one of our routers gave."""


@dataclass(frozen=True)
class RequestIdentity:
    """What a request id says."""

    namespace: str
    service: str
    version: str
    epoch: str
    subject: str
    audit: bool
    uuid: str
    reference: str = NO_REFERENCE
    """Keyed hash of the record that was asked about."""


def service_key(master: bytes, namespace: str, service: str) -> bytes:
    """The key of one service: HMAC-SHA256(master key, `namespace/service`)."""
    return digest(master, f"{namespace}/{service}".encode(), sha256)


def reference_hash(key: bytes, reference: str) -> str:
    """What stands for a record of the business under a service's key. Routers compute the same from the header X-Reference."""
    return digest(digest(key, b"reference", sha256), reference.encode(), sha256).hex()[:REFERENCE_DIGITS]


def reviewer_hash(key: bytes, reviewer: str) -> str:
    """What stands for a reviewer under a service's key."""
    return digest(digest(key, b"reviewer", sha256), reviewer.encode(), sha256).hex()[:REVIEWER_DIGITS]


def bearer_matches(master: bytes, namespace: str, service: str, header: str) -> bool:
    """Whether an Authorization header carries the service's key, in constant time."""
    return compare_digest(header.encode(), f"Bearer {service_key(master, namespace, service).hex()}".encode())


def _mac(key: bytes, payload: str) -> str:
    return digest(key, payload.encode(), sha256).hex()[:MAC_DIGITS]


def sign(master: bytes, identity: RequestIdentity) -> str:
    """The request id; what HAProxy computes, for tests and tools."""
    plain = "|".join(
        (
            identity.namespace,
            identity.service,
            identity.version,
            identity.epoch,
            identity.subject,
            identity.reference,
            str(int(identity.audit)),
            identity.uuid,
        )
    )
    payload = urlsafe_b64encode(plain.encode()).decode().rstrip("=")
    return f"{payload}.{_mac(service_key(master, identity.namespace, identity.service), payload)}"


def verify(master: bytes, request_id: str) -> RequestIdentity:
    """What the id says, if its mac is right. Raises ForgedError, which does not say what was wrong."""
    payload, _, mac = request_id.partition(".")
    try:
        plain = urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
        namespace, service, version, epoch, subject, reference, audit, uuid = plain.split("|")
        right = compare_digest(mac.encode(), _mac(service_key(master, namespace, service), payload).encode())
    except (Base64Error, ValueError) as error:
        raise ForgedError from error
    if not right:
        raise ForgedError
    return RequestIdentity(namespace, service, version, epoch, subject, audit == "1", uuid, reference)
