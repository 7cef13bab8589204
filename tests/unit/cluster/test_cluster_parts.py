"""The small pure parts: cache keys, ports, forwards, archives, control groups, the log's tail."""

from __future__ import annotations

import io
import json
import socket
import tarfile
from pathlib import Path

import pytest

from regimen_cluster import cgroups, cli, forwards, images, pause, process, programs
from regimen_cluster.errors import ClusterError, CommandFailed
from regimen_cluster.layout import layout


def test_a_key_depends_on_every_part_and_on_where_parts_end() -> None:
    assert programs.key("ab", "c") == programs.key("ab", "c")
    assert len({programs.key("ab", "c"), programs.key("a", "bc"), programs.key("abc"), programs.key("c", "ab")}) == 4


def test_the_key_of_the_go_programs_follows_the_module_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "go.sum").write_text("")
    monkeypatch.setattr(programs, "MODULE", tmp_path)
    keys = set()
    for text in ("go 1.25.0", "go 1.26.0"):
        (tmp_path / "go.mod").write_text(text)
        keys.add(programs.go_key())
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.9.1 linux/amd64", (1, 9)),
        ("module regimen.dev/cluster/go\n\ngo 1.25.0\n", (1, 25)),
    ],
)
def test_go_versions_are_compared_as_numbers(text: str, version: tuple[int, int]) -> None:
    assert programs.go_version(text) == version


def test_the_module_file_names_a_go_version() -> None:
    assert programs.go_version((programs.MODULE / "go.mod").read_text(encoding="utf-8")) >= (1, 25)


def test_a_killed_build_leaves_nothing_that_looks_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIMEN_CACHE", str(tmp_path))

    def half(into: Path) -> None:
        (into / "part").write_text("x")
        raise KeyboardInterrupt

    def whole(into: Path) -> None:
        (into / "all").write_text("x")

    with pytest.raises(KeyboardInterrupt):
        programs._published("go", "k", half)
    assert not (tmp_path / "go-k").exists()
    done = programs._published("go", "k", whole)
    assert [entry.name for entry in done.iterdir()] == ["all"]
    assert not list(tmp_path.glob(".go-*"))


def test_a_port_in_use_or_promised_is_not_chosen() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert not forwards.is_free(port)
        assert forwards.choose_port(port, set()) != port
        assert forwards.choose_port(None, {16443}, first=16443) != 16443


@pytest.mark.parametrize(
    ("wish", "parsed"),
    [
        ("8080=198.19.0.9:80", (8080, "198.19.0.9", "80")),
        ("0=router.models.svc.cluster.local:http", (0, "router.models.svc.cluster.local", "http")),
    ],
)
def test_forwards_are_parsed(wish: str, parsed: tuple[int, str, str]) -> None:
    assert forwards.parse(wish) == parsed


@pytest.mark.parametrize("wish", ["8080", "8080=router", "x=router:80", "70000=router:80", "1=a=b:80"])
def test_forwards_that_make_no_sense_are_refused(wish: str) -> None:
    with pytest.raises(ClusterError, match="LOCALPORT=HOST:PORT"):
        forwards.parse(wish)


def test_an_address_needs_a_port_number() -> None:
    assert forwards.resolve(layout("dev"), "198.18.0.1", "6443") == "198.18.0.1:6443"
    with pytest.raises(ClusterError, match="port number"):
        forwards.resolve(layout("dev"), "198.18.0.1", "https")


@pytest.mark.parametrize(
    ("name", "present"),
    [
        ("x", "r.example/library/x:latest"),
        ("a/x:1", "r.example/a/x:1"),
        ("localhost/a/x:1", "localhost/a/x:1"),
        ("host:5000/x", "host:5000/x:latest"),
    ],
)
def test_images_are_found_under_the_name_containerd_gives_them(name: str, present: str) -> None:
    assert images.listed(name, {"other:1", present})
    assert not images.listed(name, {"other:1", f"{present}2"})


def test_a_docker_archive_written_by_hand_reads_back_and_is_reproducible(tmp_path: Path) -> None:
    paths = [tmp_path / "a.tar", tmp_path / "b.tar", tmp_path / "c.tar"]
    for path, content in zip(paths, (b"x", b"x", b"y"), strict=True):
        pause.write_archive(path, "localhost/x:1", {"x": content}, ["/x"])
    first, second, third = (images.describe(path) for path in paths)
    assert first.names == ("localhost/x:1",)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert first.identity == second.identity != third.identity


def test_an_oci_archive_is_read_by_its_annotations(tmp_path: Path) -> None:
    index = json.dumps({"manifests": [{"annotations": {"org.opencontainers.image.ref.name": "localhost/y:2"}}, {}]}).encode()
    path = tmp_path / "oci.tar"
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("./index.json")
        entry.size = len(index)
        tar.addfile(entry, io.BytesIO(index))
    assert images.describe(path).names == ("localhost/y:2",)


def test_a_file_that_is_no_image_archive_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "n.tar", "w"):
        pass
    with pytest.raises(ClusterError, match="neither"):
        images.describe(tmp_path / "n.tar")


@pytest.mark.parametrize(
    ("answer", "was_running"),
    [
        (None, True),
        ("ctr: no running task found: task ab not found: not found", False),
        ("ctr: process already finished: not found", False),
    ],
)
def test_a_container_is_killed_once(monkeypatch: pytest.MonkeyPatch, answer: str | None, was_running: bool) -> None:
    asked: list[tuple[str, ...]] = []

    def ctr(_cluster: object, _node: object, *arguments: str) -> str:
        asked.append(arguments)
        if answer is not None:
            raise CommandFailed(["ctr"], 1, answer)
        return ""

    monkeypatch.setattr(images, "ctr", ctr)
    cluster = layout("dev")
    assert images.kill_container(cluster, cluster.nodes[0], "ab") is was_running
    assert asked == [("tasks", "kill", "--signal", "SIGKILL", "ab")]


def test_a_container_that_cannot_be_killed_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def ctr(*_: object) -> str:
        raise CommandFailed(["ctr"], 1, "ctr: connection refused")

    monkeypatch.setattr(images, "ctr", ctr)
    with pytest.raises(CommandFailed, match="refused"):
        images.kill_container(layout("dev"), layout("dev").nodes[0], "ab")


def test_both_kinds_of_control_groups_are_found() -> None:
    text = "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\nproc /proc proc rw 0 0\n"
    assert cgroups.parse_mounts(text) == {"cgroup": [Path("/sys/fs/cgroup/cpu")], "cgroup2": [Path("/sys/fs/cgroup/unified")]}


def test_a_strangers_pid_is_not_ours() -> None:
    assert not cgroups.contains(layout("no-such-cluster"), 1)


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("\n".join(str(number) for number in range(100)))
    assert process.log_tail(tmp_path / "a.log") == [str(number) for number in range(80, 100)]
    assert process.log_tail(tmp_path / "missing.log") == ["(no log)"]


def test_shell_takes_a_command_after_two_dashes() -> None:
    assert cli.parser().parse_args(["shell", "dev", "--", "ls", "-l"]).command[-2:] == ["ls", "-l"]


def test_an_error_is_one_message_and_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "Not-A-Name"]) == 1
    assert capsys.readouterr().err.startswith("error: cluster name")
