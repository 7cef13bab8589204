"""The components of a cluster and their command lines. Pure: a layout in, components out."""

from __future__ import annotations

from pathlib import Path

from regimen_cluster import machine
from regimen_cluster.layout import API_ADDRESS, API_PORT, DOMAIN, POD_RANGE, SERVICE_RANGE, Layout, Node
from regimen_cluster.process import Component, Where

HAPROXY = "haproxy"


def control_plane(cluster: Layout, programs: Path) -> list[Component]:
    """etcd and the API server: all there is with --nodes 0."""
    return [_etcd(cluster, programs), _apiserver(cluster, programs)]


def controllers(cluster: Layout, programs: Path) -> list[Component]:
    """What turns objects into running pods: started once the API server answers."""
    if not cluster.nodes:
        return []
    return [
        _controller_manager(cluster, programs),
        _scheduler(cluster, programs),
        _proxy(cluster, programs),
        Component("coredns", (str(programs / "coredns"), "-conf", str(cluster.state / "Corefile"))),
    ]


def machines(cluster: Layout) -> list[Component]:
    """One idle process a node, which keeps its mounts."""
    return [machine.component(cluster, node) for node in cluster.nodes]


def runtimes(cluster: Layout) -> list[Component]:
    """One containerd a node: Debian's program, never Debian's service."""
    return [
        Component(
            f"containerd-{node.name}", ("containerd", "--config", str(cluster.node_state(node) / "containerd.toml")), Where.NODE, node
        )
        for node in cluster.nodes
    ]


def kubelets(cluster: Layout, programs: Path) -> list[Component]:
    """One kubelet a node."""
    return [_kubelet(cluster, programs, node) for node in cluster.nodes]


def haproxy(cluster: Layout, replaces: int | None = None) -> Component:
    """The forwarder on the host. A new one lets the old one finish the connections it has."""
    old = ("-sf", str(replaces)) if replaces is not None else ()
    return Component(HAPROXY, ("haproxy", "-db", "-f", str(cluster.state / "haproxy.cfg"), *old), Where.HOST)


def everything(cluster: Layout, programs: Path) -> list[Component]:
    """All components, in the order they depend on each other."""
    return [
        *control_plane(cluster, programs), haproxy(cluster), *machines(cluster), *runtimes(cluster), *controllers(cluster, programs),
        *kubelets(cluster, programs),
    ]  # fmt: skip


def _etcd(cluster: Layout, programs: Path) -> Component:
    """No fsync: the state is thrown away with the cluster, and other work on the machine must not slow the API down."""
    url = "http://127.0.0.1:2379"
    return Component(
        "etcd",
        (str(programs / "etcd"), "--name=one", f"--data-dir={cluster.state}/etcd", f"--listen-client-urls={url}", f"--advertise-client-urls={url}",
         "--listen-peer-urls=http://127.0.0.1:2380", "--unsafe-no-fsync", "--log-level=warn"),
    )  # fmt: skip


def _apiserver(cluster: Layout, programs: Path) -> Component:
    pki = cluster.pki
    return Component(
        "kube-apiserver",
        (str(programs / "kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379", f"--advertise-address={API_ADDRESS}", f"--secure-port={API_PORT}",
         f"--service-cluster-ip-range={SERVICE_RANGE}", "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
         "--allow-privileged=true", f"--client-ca-file={pki}/ca.crt", f"--tls-cert-file={pki}/apiserver.crt",
         f"--tls-private-key-file={pki}/apiserver.key", f"--cert-dir={cluster.state}/apiserver",
         f"--kubelet-certificate-authority={pki}/ca.crt", f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
         f"--kubelet-client-key={pki}/apiserver-kubelet.key", "--kubelet-preferred-address-types=InternalIP",
         f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}", f"--service-account-key-file={pki}/service-account.pub",
         f"--service-account-signing-key-file={pki}/service-account.key"),
    )  # fmt: skip


def _controller_manager(cluster: Layout, programs: Path) -> Component:
    pki = cluster.pki
    return Component(
        "kube-controller-manager",
        (str(programs / "kube-controller-manager"), f"--kubeconfig={pki}/controller-manager.kubeconfig", "--leader-elect=false",
         "--use-service-account-credentials=true", f"--service-account-private-key-file={pki}/service-account.key",
         f"--root-ca-file={pki}/ca.crt", f"--cluster-signing-cert-file={pki}/ca.crt", f"--cluster-signing-key-file={pki}/ca.key"),
    )  # fmt: skip


def _scheduler(cluster: Layout, programs: Path) -> Component:
    kubeconfig = f"--kubeconfig={cluster.pki}/scheduler.kubeconfig"
    return Component("kube-scheduler", (str(programs / "kube-scheduler"), kubeconfig, "--leader-elect=false"))


def _proxy(cluster: Layout, programs: Path) -> Component:
    """One for all nodes, as they share the namespace. Limits on connection tracking belong to the host: left alone (0)."""
    return Component(
        "kube-proxy",
        (str(programs / "kube-proxy"), f"--kubeconfig={cluster.pki}/proxy.kubeconfig", "--proxy-mode=nftables", f"--cluster-cidr={POD_RANGE}",
         f"--hostname-override={cluster.nodes[0].name}", "--conntrack-max-per-core=0", "--conntrack-min=0",
         "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s", "--oom-score-adj=0"),
    )  # fmt: skip


def _kubelet(cluster: Layout, programs: Path, node: Node) -> Component:
    return Component(
        f"kubelet-{node.name}",
        (str(programs / "kubelet"), f"--config={cluster.node_state(node)}/kubelet.json", f"--kubeconfig={cluster.pki}/kubelet-{node.name}.kubeconfig",
         f"--hostname-override={node.name}", f"--node-ip={node.address}", f"--node-labels=gpu={node.name}", "--cert-dir=/var/lib/kubelet/pki"),
        Where.NODE,
        node,
    )  # fmt: skip
