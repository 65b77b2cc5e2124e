"""What is taken and what never is, whatever the user wrote."""

from pathlib import Path

import pytest

from qborg_client import sources, state
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure


def composed(paths: Paths, text: str) -> tuple[str, ...]:
    """Answer the patterns of a run for a pattern file's text."""
    return sources.compose(sources.parse(text), paths)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A home with one directory in it."""
    (tmp_path / "docs").mkdir()
    return Paths(tmp_path)


def test_the_defaults_take_the_home_and_leave_out_caches(paths: Paths) -> None:
    patterns = composed(paths, sources.default_patterns(paths.home))

    assert patterns[0] == f"R {paths.home}"
    assert f"! pp:{paths.home}/.cache" in patterns


def test_no_default_root_holds_what_only_root_can_read(paths: Paths) -> None:
    # Fedora's /var/spool/cron is as closed as the crontabs below Debian's.
    patterns = composed(paths, sources.default_patterns(paths.home))

    assert "! pp:/rw/bind-dirs/var/spool/cron" in patterns


# Secrets, and what a restore in place was cut at.
NEVER = [".ssh/backups", ".ssh/backups.d", ".config/borg", ".cache/borg",
         ".local/state/qubes-borg/restoring"]


@pytest.mark.parametrize("left_out", NEVER)
@pytest.mark.parametrize("alias", ["", "/rw"])
def test_some_is_left_out_before_the_user_can_take_it(
    paths: Paths, left_out: str, alias: str
) -> None:
    mine = f"+ pp:{paths.home}"

    patterns = composed(paths, f"R {paths.home}\n{mine}\n")

    assert patterns.index(f"! pp:{alias}{paths.home}/{left_out}") < patterns.index(mine)


def test_the_proof_is_taken_before_the_user_can_leave_it_out(paths: Paths) -> None:
    mine = f"! pp:{paths.home}/.local"

    patterns = composed(paths, f"R {paths.home}\n{mine}\n")

    wanted = [f"+ pf:{path}" for path in (paths.home / ".local", paths.state, paths.proof)]
    assert all(patterns.index(pattern) < patterns.index(mine) for pattern in wanted)
    assert f"R {paths.proof}" not in patterns


def test_the_proof_is_a_root_of_its_own_where_no_other_holds_it(paths: Paths) -> None:
    assert f"R {paths.proof}" in composed(paths, f"R {paths.home}/docs\n")


@pytest.mark.parametrize("roots", ["", "/docs"], ids=["home", "docs"])
def test_dom0s_manifest_is_taken_once_there_is_one(paths: Paths, roots: str) -> None:
    text = f"R {paths.home}{roots}\n! pp:{paths.home}/.local\n"
    assert not [line for line in composed(paths, text) if str(paths.manifest) in line]
    paths.make_state()
    state.keep_manifest(paths, "class AppVM\nlabel red")

    patterns = composed(paths, text)

    assert (f"R {paths.manifest}" in patterns) == bool(roots)
    taken = patterns.index(f"+ pf:{paths.manifest}")
    assert taken < patterns.index(f"! pp:{paths.home}/.local")
    assert paths.manifest.stat().st_mode & 0o777 == 0o600


def test_the_users_lines_keep_their_order(paths: Paths) -> None:
    lines = ["P sh", "! **/*.iso", "+ pp:/home/user/keep", "- re:\\.tmp$"]

    assert composed(paths, f"R {paths.home}\n" + "\n".join(lines))[-4:] == tuple(lines)


def test_a_root_that_is_not_here_is_an_error(paths: Paths) -> None:
    with pytest.raises(ServiceFailure) as refused:
        composed(paths, f"R {paths.home}\nR {paths.home}/gone\n")

    assert refused.value.cause == "source-missing"


def test_a_default_root_that_is_not_here_is_left_away(paths: Paths) -> None:
    patterns = composed(paths, f"R {paths.home}/docs\nR /rw/bind-dirs\n")

    assert ("R /rw/bind-dirs" in patterns) == Path("/rw/bind-dirs").exists()


@pytest.mark.parametrize("text", ["", "# nothing\n", "! pp:/home\n"], ids=["empty", "comment", "!"])
def test_no_root_at_all_is_an_error(paths: Paths, text: str) -> None:
    with pytest.raises(ServiceFailure):
        composed(paths, text)


BROKEN = {
    "no-type": "/home/user",
    "unknown-type": "X /home/user",
    "type-alone": "R",
    "type-and-space": "! ",
    "glued": "R/home/user",
    "expression": "! re:(",
    "expression-count": "! re:a{99999999999}",
    "expression-nested": "! re:" + "(" * 3000,
    "expression-escape": "! re:(?\x1b)",
    "nothing-that-a-program-can-be-given": "! pp:/home/a\0b",
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_a_line_that_borg_would_not_take_is_told_by_its_number(line: str) -> None:
    with pytest.raises(ServiceFailure) as refused:
        sources.parse(f"# mine\n\n{line}\n")

    assert "line 3" in refused.value.detail
    assert line not in refused.value.detail or line == "R"
    assert refused.value.detail.isprintable()


def test_a_line_ends_where_it_ends_for_borg() -> None:
    found = sources.parse("# mine\rR /home\r\n! sh:**/x\r+ pp:/a\u2028b")

    read = [f"{line.kind} {line.rest}" for line in found]
    assert read == ["R /home", "! sh:**/x", "+ pp:/a\u2028b"]


def test_a_file_is_made_once_and_then_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "patterns"

    sources.make_once(path, "first")
    path.write_text("mine")
    sources.make_once(path, "second")

    assert path.read_text() == "mine"


def test_not_even_a_dangling_link_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "patterns"
    path.symlink_to(tmp_path / "gone")

    sources.make_once(path, "text")

    assert path.is_symlink() and not path.exists()


def test_of_the_settings_a_byte_that_is_no_text_is_one_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    path.write_bytes(b"# caf\xe9\ninterval_hours = 6\n")

    assert sources.read_text(path, errors="replace").splitlines()[1] == "interval_hours = 6"


@pytest.mark.parametrize("data", [b"\xff", b"#" * 300_000], ids=["not-utf-8", "flood"])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "patterns"
    path.write_bytes(data)

    with pytest.raises(ServiceFailure):
        sources.read_text(path)
