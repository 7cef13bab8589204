"""The command line: one spelling or the other, missing extras named, manifests checked."""

from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from regimen import __version__
from regimen.cli import main as cli

ROOT = Path(__file__).parents[3]


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(cli.commands, arguments, input=text, prog_name="regimen")


@click.command()
@click.option("--claims_csv", required=True)
@click.option("--use-4bit", is_flag=True)
def seeds(claims_csv: str, use_4bit: bool) -> None:
    """A command as the seed spells it."""
    click.echo(f"{claims_csv} {use_4bit}")


@click.command()
def lazy() -> None:
    """A command that imports what it needs when it runs."""
    raise ModuleNotFoundError("No module named 'polars'", name="polars")


def points(**values: str) -> list[EntryPoint]:
    return [EntryPoint(name, value, cli.GROUP) for name, value in values.items()]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    found = points(prepare_data="plugin:seeds", generate="plugin:lazy", absent="no_such_module:command")
    loaded = {"plugin:seeds": seeds, "plugin:lazy": lazy}

    def load(point: EntryPoint) -> click.Command:
        if point.value not in loaded:
            raise ModuleNotFoundError("No module named 'no_such_module'", name="no_such_module")
        return loaded[point.value]

    monkeypatch.setattr(cli, "entry_points", lambda group: found)
    monkeypatch.setattr(EntryPoint, "load", load)


@pytest.mark.parametrize("name", ["prepare_data", "prepare-data"])
@pytest.mark.parametrize("options", [("--claims_csv", "A_b.csv", "--use_4bit"), ("--claims-csv", "A_b.csv", "--use-4bit")])
@pytest.mark.usefixtures("plugins")
def test_underscores_and_dashes_mean_the_same(name: str, options: tuple[str, ...]) -> None:
    result = run(name, *options)
    assert (result.exit_code, result.output) == (0, "A_b.csv True\n")


@pytest.mark.parametrize(("name", "extra"), [("generate", "data"), ("absent", "trainer")])
@pytest.mark.usefixtures("plugins")
def test_a_missing_extra_is_named(name: str, extra: str) -> None:
    result = run(name)
    assert result.exit_code == 1
    assert f"pip install 'regimen-operator[{extra}]'" in result.output


@pytest.mark.usefixtures("plugins")
def test_commands_are_listed_without_being_imported() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(name in result.output for name in ("absent", "generate", "prepare-data", "validate", "version"))


def test_unknown_commands_are_refused() -> None:
    assert run("nope").exit_code == 2


@pytest.mark.parametrize("arguments", [("version",), ("--version",)])
def test_version(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).output == f"regimen {__version__}\n"


def test_examples_are_valid_and_fit_each_other() -> None:
    result = run("validate", "--strict", str(ROOT / "examples"))
    assert result.exit_code == 0, result.output
    assert "23 checked, 3 of other groups skipped, 0 wrong, 0 doubtful" in result.output


def test_the_same_documents_as_one_stream() -> None:
    text = "---\n".join(path.read_text() for path in sorted((ROOT / "examples").glob("[1-6]*.yaml")))
    assert run("validate", "--strict", "-", text=text).exit_code == 0


def test_a_wrong_field_fails(tmp_path: Path) -> None:
    text = (ROOT / "examples/3-finetunejob.yaml").read_text().replace("rank: 16", "rnak: 16")
    (tmp_path / "job.yaml").write_text(text)
    result = run("validate", str(tmp_path / "job.yaml"))
    assert result.exit_code == 1
    assert "job.yaml:11: document 1 (FineTuneJob openins-v1-0): spec.method.rnak: unknown field; did you mean rank?" in result.output


def test_text_that_is_no_yaml_fails(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: [")
    result = run("validate", str(tmp_path))
    assert result.exit_code == 1
    assert "x.yaml: not YAML" in result.output


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("3-finetunejob", "name: openins-baseline", "name: nothing", "spec.baseRef.name: no ModelVersion nothing in these files"),
        ("4-modelservice", "model: openins", "model: bimedix", "is a version of openins, not of bimedix"),
        ("4-modelservice", "quantization: Q5_K_M", "quantization: Q8_0", "openins-baseline has no Q8_0 file; add it there"),
        ("4-modelservice", "replicas: 4", "replicas: 6", "the last setReplicas is 4; end with all 6 replicas"),
        ("5-modelrollout", "toRef: {name: openins-v1.0}", "toRef: {name: openins-v9.9}", "no ModelVersion openins-v9.9"),
        (
            "1-trainingdataset",
            "    - {name: adjudication, output: {type: Label, labels: [APPROVED, DENIED], positive: DENIED}}\n",
            "",
            "spec.datasetRef.task: business has no task adjudication; add it there",
        ),
        (
            "2-modelversion",
            "    s3: {uri: s3://regimen/base/openinsurancellm-llama3-8b/}\n  gguf:",
            "  gguf:",
            "openins-baseline has no weights to train from",
        ),
        ("1-trainingdataset", "name: business", "name: other", "no TrainingDataset business in these files"),
    ],
)
def test_documents_are_compared(tmp_path: Path, file: str, old: str, new: str, expected: str) -> None:
    for path in (ROOT / "examples").glob("[1-6]*.yaml"):
        text = path.read_text()
        if path.stem == file:
            assert old in text
            text = text.replace(old, new, 1)
            text = text.replace("  weights:                           # 16", "  # 16") if "s3:" in old else text
        (tmp_path / path.name).write_text(text)
    result = run("validate", str(tmp_path))
    assert result.exit_code == 0
    assert any("warning: " in line and expected in line for line in result.output.splitlines()), result.output
    assert run("validate", "--strict", str(tmp_path)).exit_code == 1
