"""The ModelVersion of a manifest in the bucket: made when a job publishes, and again when a cluster is restored beside its bucket."""

from typing import get_args

from regimen.plan.actions import Manifest
from regimen.plan.common import MANAGED
from regimen.spec.artifacts import VersionManifest
from regimen.spec.meta import API_VERSION, Quantization


def quantization_of(path: str) -> str | None:
    """Which quantisation a GGUF's file name says it has.

    >>> quantization_of("openins-v1.0-Q6_K.gguf")
    'Q6_K'
    """
    return next((name for name in get_args(Quantization) if path.endswith(f"-{name}.gguf")), None)


def model_version(namespace: str, manifest: VersionManifest) -> Manifest:
    """Without ownerReference: a version outlives its job."""
    files = [
        {"quantization": name, "uri": file.uri, "sha256": file.sha256} for file in manifest.gguf if (name := quantization_of(file.path))
    ]
    return {
        "apiVersion": API_VERSION, "kind": "ModelVersion",
        "metadata": {"name": manifest.name, "namespace": namespace, "labels": MANAGED},
        "spec": {"model": manifest.model, "version": manifest.version, "gguf": files},
    }  # fmt: skip
