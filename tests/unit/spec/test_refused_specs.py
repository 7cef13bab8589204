"""What must be refused, and that the refusal names the field and the remedy. A real API server can be asked the same table."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from regimen.spec.validate import check, read

ROOT = Path(__file__).parents[3]
CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "data/refused.yaml").read_text())


def changed(case: dict[str, Any]) -> dict[str, Any]:
    """The case's example with its changes."""
    document: dict[str, Any] = yaml.safe_load((ROOT / f"examples/{case['example']}.yaml").read_text())
    for path, value in case["set"].items():
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        inner: Any = document
        for part in parents:
            inner = inner[part]
        if value is None:
            del inner[last]
        else:
            inner[last] = value
    return document


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['example']}:{','.join(case['set'])}")
def test_refused_with_field_and_remedy(case: dict[str, Any]) -> None:
    problems = check(read("x.yaml", yaml.safe_dump(changed(case))))
    said = [str(problem) for problem in problems]
    assert any(f"): {case['field']}: " in line and case["says"] in line for line in said), said


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/**/*.yaml")), ids=lambda path: path.name)
def test_examples_are_accepted(example: Path) -> None:
    assert check(read(str(example), example.read_text())) == []
