"""Certificates and kubeconfigs, made with the openssl command. One authority for the whole cluster, thrown away with it."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from regimen_cluster.host import run
from regimen_cluster.layout import API_ADDRESS, API_PORT, DOMAIN, SERVICE_API, Layout, Node

DAYS = "3650"


@dataclass(frozen=True)
class Leaf:
    """A certificate: Kubernetes reads the user from the common name and the groups from the organization."""

    file: str
    common_name: str
    organization: str = ""
    names: tuple[str, ...] = ()


API_NAMES = (
    "DNS:localhost", "DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc", f"DNS:kubernetes.default.svc.{DOMAIN}",
    "IP:127.0.0.1", f"IP:{API_ADDRESS}", f"IP:{SERVICE_API}",
)  # fmt: skip
COMMON = (
    Leaf("apiserver", "kube-apiserver", names=API_NAMES),
    Leaf("apiserver-kubelet", "kube-apiserver-kubelet-client", "system:masters"),
    Leaf("admin", "admin", "system:masters"),
)
WITH_NODES = (
    Leaf("controller-manager", "system:kube-controller-manager"),
    Leaf("scheduler", "system:kube-scheduler"),
    Leaf("proxy", "system:kube-proxy"),
    Leaf("coredns", "system:coredns"),
)


def leaves(cluster: Layout) -> list[Leaf]:
    """Every certificate the cluster needs."""
    nodes = [kubelet_leaf(node) for node in cluster.nodes]
    return [*COMMON, *(WITH_NODES if cluster.nodes else ()), *nodes]


def kubelet_leaf(node: Node) -> Leaf:
    """One certificate for both directions: the kubelet as a client and as the server that logs and exec go to."""
    return Leaf(f"kubelet-{node.name}", f"system:node:{node.name}", "system:nodes", (f"DNS:{node.name}", f"IP:{node.address}"))


def create(cluster: Layout, host_port: int) -> None:
    """Make the authority, all certificates and all kubeconfigs."""
    pki = cluster.pki
    pki.mkdir(mode=0o700, parents=True)
    _key(pki / "ca.key")
    _key(pki / "service-account.key")
    run(["openssl", "ec", "-in", str(pki / "service-account.key"), "-pubout", "-out", str(pki / "service-account.pub")])
    (pki / "ca.cnf").write_text(
        "[req]\ndistinguished_name=dn\nx509_extensions=ca\nprompt=no\n[dn]\n"
        f"CN=regimen-{cluster.name}\n"
        "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign,digitalSignature\nsubjectKeyIdentifier=hash\n",
        encoding="utf-8",
    )
    run(["openssl", "req", "-x509", "-new", "-key", str(pki / "ca.key"), "-config", str(pki / "ca.cnf"), "-days", DAYS,
         "-out", str(pki / "ca.crt")])  # fmt: skip
    for leaf in leaves(cluster):
        _certificate(pki, leaf)
    _kubeconfigs(cluster, host_port)


def _key(path: Path) -> None:
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path)])


def _certificate(pki: Path, leaf: Leaf) -> None:
    base = pki / leaf.file
    subject = (f"/O={leaf.organization}" if leaf.organization else "") + f"/CN={leaf.common_name}"
    extensions = "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n"
    if leaf.names:
        extensions += f"subjectAltName={','.join(leaf.names)}\n"
    base.with_suffix(".ext").write_text(extensions, encoding="utf-8")
    _key(base.with_suffix(".key"))
    run(["openssl", "req", "-new", "-key", f"{base}.key", "-subj", subject, "-out", f"{base}.csr"])
    run(["openssl", "x509", "-req", "-in", f"{base}.csr", "-CA", str(pki / "ca.crt"), "-CAkey", str(pki / "ca.key"), "-days", DAYS,
         "-set_serial", str(secrets.randbits(100)), "-extfile", f"{base}.ext", "-out", f"{base}.crt"])  # fmt: skip


def _kubeconfigs(cluster: Layout, host_port: int) -> None:
    inside = f"https://{API_ADDRESS}:{API_PORT}"
    for leaf in leaves(cluster):
        if not leaf.file.startswith("apiserver"):
            write_private(cluster.pki / f"{leaf.file}.kubeconfig", kubeconfig(cluster, leaf, inside))
    admin = COMMON[2]
    write_private(cluster.kubeconfig, kubeconfig(cluster, admin, f"https://127.0.0.1:{host_port}"))
    write_private(cluster.inner_kubeconfig, kubeconfig(cluster, admin, inside))


def kubeconfig(cluster: Layout, leaf: Leaf, server: str) -> str:
    """A kubeconfig with everything inside, so that it may be copied. JSON is YAML."""

    def data(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    name = cluster.netns
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": data(cluster.pki / "ca.crt")}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": leaf.file}}],
        "users": [
            {
                "name": leaf.file,
                "user": {
                    "client-certificate-data": data(cluster.pki / f"{leaf.file}.crt"),
                    "client-key-data": data(cluster.pki / f"{leaf.file}.key"),
                },
            }
        ],
    }
    return json.dumps(content, indent=1)


def write_private(path: Path, text: str) -> None:
    """Write a file that only root reads; it is never readable by others, not even for a moment."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
