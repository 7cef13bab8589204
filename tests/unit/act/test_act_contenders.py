"""Which versions a new one is compared with, read from a cluster and a bucket of a few lines."""

from types import SimpleNamespace
from typing import Any

import pytest

from regimen.act.observe import Observer
from regimen.plan.finetune_facts import BaseFacts
from regimen.spec.artifacts import manifest_key
from regimen.spec.finetune import FineTuneJobSpec
from regimen.spec.version import ModelVersionSpec, ModelVersionStatus

DIGEST = "ab" * 32


def version(model: str, version: str, quantization: str = "Q6_K") -> dict[str, Any]:
    files = [{"quantization": quantization, "uri": f"s3://b/{model}-{version}.gguf", "sha256": DIGEST}]
    return {"metadata": {"name": f"{model}-{version}"}, "spec": {"model": model, "version": version, "gguf": files}}


def contenders(versions: list[dict[str, Any]], published: list[str], compare_with: list[str], own: str = "v1.2") -> list[tuple[str, str]]:
    by_name = {item["metadata"]["name"]: item for item in versions}
    cluster = SimpleNamespace(
        get=lambda kind, namespace, name: by_name.get(name), items=lambda kind, namespace: versions if kind == "ModelVersion" else []
    )
    keys = {manifest_key("claims", "openins", name) for name in published}
    observer = Observer(cluster, SimpleNamespace(exists=keys.__contains__), SimpleNamespace(), SimpleNamespace())  # type: ignore[arg-type]
    spec = FineTuneJobSpec.model_validate(
        {
            "baseRef": {"name": "openins-baseline"}, "datasetRef": {"name": "d", "task": "adjudication"}, "version": own,
            "output": {"quantizations": ["Q6_K"]}, "evaluation": {"compareWith": compare_with},
        }
    )  # fmt: skip
    base = BaseFacts(ModelVersionSpec.model_validate(by_name["openins-baseline"]["spec"]), ModelVersionStatus())
    found = observer._contenders(SimpleNamespace(namespace="claims"), spec, base, own)  # type: ignore[arg-type]
    assert all(file is not None and file.sha256 == DIGEST for _, _, file in found)
    return [(label, name) for label, name, _ in found]


BASELINE, OLD, NEW, TENTH = (version("openins", name) for name in ("baseline", "v1.1", "v1.2", "v1.10"))
OTHER = version("bimedix", "v1.0")


@pytest.mark.parametrize(
    ("versions", "published", "first"),
    [
        ([BASELINE], [], []),
        ([BASELINE, OTHER], [], []),
        ([BASELINE, TENTH, OLD], ["v1.1", "v1.10"], [("First", "openins-v1.1")]),
        ([BASELINE, TENTH, OLD], ["v1.10"], [("First", "openins-v1.10")]),
        ([BASELINE, NEW], ["v1.2"], []),
    ],
    ids=["nothing fine-tuned", "another model's", "by number, not by letter", "published, not written by hand", "not the job's own"],
)
def test_first_is_the_lowest_that_a_job_published(
    versions: list[dict[str, Any]], published: list[str], first: list[tuple[str, str]]
) -> None:
    assert contenders(versions, published, ["First"]) == first


def test_all_three_in_the_order_asked() -> None:
    asked = contenders([BASELINE, OLD], ["v1.1"], ["Serving", "First", "Baseline"])
    assert asked == [("Serving", "openins-baseline"), ("First", "openins-v1.1"), ("Baseline", "openins-baseline")]
