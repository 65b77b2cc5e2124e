"""dom0's own files: settings, lock, gate, record; each as written, or refused whole."""

import dataclasses
import json
import stat
import subprocess
import sys
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest

from qborg_wire.names import Repository
from qvm_borg import errors, files, gate, lock, record, settings
from unit.dom0.honest import SETTINGS

A, B = uuid.UUID(int=10), uuid.UUID(int=11)
WORK = Repository("qubes", "work")
RECORD = record.Record(
    A, WORK, "deliver", "SHA256:" + "k" * 43, {"bundle": "b" * 64}, {"backup": "1700000000"},
    {"escrow": "none, by choice"})


def test_settings_are_read_as_they_were_written() -> None:
    settings.store(SETTINGS)

    assert settings.load() == SETTINGS
    assert stat.S_IMODE(settings.path().stat().st_mode) == 0o600
    assert [path.name for path in settings.path().parent.iterdir()] == ["settings.toml"]


def test_no_settings_are_none() -> None:
    assert settings.load() is None


@pytest.mark.parametrize(("key", "value"), [
    ("machine", "Laptop"), ("machine", "a-b"), ("machine_id", "0"), ("account", "a b"),
    ("host", "-h"), ("host", "a;b"), ("port", "0"), ("port", "022"), ("host_key", "MD5:aa"),
    ("remote_borg", "../borg"), ("machine", "x" * 17), ("host", "h\\n"),
])
def test_a_setting_outside_its_pattern_is_refused(key: str, value: str) -> None:
    settings.store(dataclasses.replace(SETTINGS, **{key: value}))

    with pytest.raises(errors.SettingsError, match="settings.toml is not what"):
        settings.load()


@pytest.mark.parametrize("text", [
    "", "x", 'machine = "a"\n', "port = 22\n", "\xff", "[a]\n",
    pytest.param("a = " + "[" * 3000, id="nested"),
])
def test_a_broken_file_of_settings_is_an_error_not_a_traceback(text: str) -> None:
    settings.store(SETTINGS)
    settings.path().write_bytes(text.encode("latin-1"))

    with pytest.raises(errors.SettingsError):
        settings.load()


def test_an_unknown_setting_is_refused() -> None:
    settings.store(SETTINGS)
    with settings.path().open("a", encoding="ascii") as file:
        file.write('shell = "yes"\n')

    with pytest.raises(errors.SettingsError, match="other keys"):
        settings.load()


def test_the_lock_is_held_by_one_process_and_ends_with_it() -> None:
    program = "import sys; sys.path.insert(0, 'dom0'); from qvm_borg import lock\n" \
              "with lock.held(): print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        with pytest.raises(errors.LockedError), lock.held():
            pass
        process.kill()
    with lock.held():
        pass


def test_the_gate_has_one_constant_line() -> None:
    assert gate.text("InstallBundle", WORK, A, B) == (
        "qborg.InstallBundle +qubes-work uuid:00000000-0000-0000-0000-00000000000a "
        "uuid:00000000-0000-0000-0000-00000000000b allow autostart=no notify=no\n")


@pytest.mark.parametrize("repository", [
    Repository("qubes", "work * * allow"), Repository("qubes", "work\nqubes.VMShell"),
    Repository("qubes", "*"), Repository("*", "work"), Repository("qubes", "w" * 32),
    Repository("qubes", ""), Repository("", "work"), Repository("qubes", "dom0"),
], ids=str)
def test_nothing_but_a_repository_stands_in_the_gate(repository: Repository) -> None:
    with pytest.raises(ValueError):
        gate.text("InstallBundle", repository, A, B)


@pytest.mark.parametrize("service", ["CheckSetup", "RunBackup", "RestoreFiles"])
def test_a_service_of_dom0_is_never_opened_to_a_qube(service: str) -> None:
    with pytest.raises(ValueError):
        gate.text(service, WORK, A, B)


def test_a_uuid_that_is_none_does_not_open_the_gate() -> None:
    with pytest.raises(ValueError):
        gate.text("InstallBundle", WORK, "* allow", B)  # type: ignore[arg-type]


def test_the_gate_is_there_for_the_block_only(tmp_path: Path) -> None:
    with gate.opened(tmp_path, "line\n"):
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
            "69-qborg-gate.policy": "line\n"}
    assert not list(tmp_path.iterdir())


def test_calls_side_by_side_have_a_line_each(tmp_path: Path) -> None:
    path, first = tmp_path / gate.NAME, ExitStack()
    first.enter_context(gate.opened(tmp_path, "first\n"))

    with gate.opened(tmp_path, "second\n"):
        assert path.read_text() == "first\nsecond\n"
        first.close()
        assert path.read_text() == "second\n"
    assert not list(tmp_path.iterdir())


def test_a_line_that_cannot_be_taken_out_closes_the_whole_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gate.opened(tmp_path, "first\n"):
        with gate.opened(tmp_path, "second\n"):
            monkeypatch.setattr(files, "write", _full)

        assert not list(tmp_path.iterdir())


def test_a_line_that_cannot_be_added_leaves_the_others_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = iter([_full, files.write])
    with gate.opened(tmp_path, "first\n"):
        monkeypatch.setattr(files, "write", lambda *words: next(once)(*words))
        with pytest.raises(errors.GateError, match="No space left"):
            gate.opened(tmp_path, "second\n").__enter__()

        assert (tmp_path / gate.NAME).read_text() == "first\n"
    assert not list(tmp_path.iterdir())


def _full(_path: Path, _text: str, _mode: int) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError, SystemExit])
def test_the_gate_is_closed_whatever_happens(tmp_path: Path, kind: type[BaseException]) -> None:
    with pytest.raises(kind), gate.opened(tmp_path, "line\n"):
        raise kind

    assert not list(tmp_path.iterdir())


def test_a_stale_gate_is_removed_and_told(tmp_path: Path) -> None:
    (tmp_path / "69-qborg-gate.policy").write_text("stale", encoding="ascii")
    (tmp_path / ".69-qborg-gate.policy.new").write_text("half", encoding="ascii")
    (tmp_path / "30-user.policy").write_text("mine", encoding="ascii")

    assert gate.remove(tmp_path) is True
    assert gate.remove(tmp_path) is False
    assert [path.name for path in tmp_path.iterdir()] == ["30-user.policy"]


def test_where_there_is_no_policy_directory_there_is_no_stale_gate(tmp_path: Path) -> None:
    assert gate.remove(tmp_path / "none") is False


def test_a_file_is_replaced_whole_and_no_link_is_followed(tmp_path: Path) -> None:
    path, victim = tmp_path / "file", tmp_path / "victim"
    victim.write_text("old", encoding="ascii")
    (tmp_path / ".file.new").symlink_to(victim)

    with pytest.raises(OSError):
        files.write(path, "text")

    assert victim.read_text(encoding="ascii") == "old" and not path.exists()


def test_a_record_is_read_as_it_was_written() -> None:
    text = record.render(RECORD)

    assert record.parse(text) == RECORD
    assert text.isascii() and text.isprintable() and record.render(RECORD) == text


def bent(**changes: object) -> str:
    """Answer a record's text with some values changed; None takes the key away."""
    plain = {**json.loads(record.render(RECORD)), **changes}
    return json.dumps({key: value for key, value in plain.items() if value is not None})


@pytest.mark.parametrize("text", [
    None, "", "1", "None", "null", "[]", "{}", "{" * 5000, "x" * 5000, '{"a":1}',
    bent(uuid="no"), bent(uuid=5), bent(uuid=None), bent(repository="work"),
    bent(repository="a-b c"), bent(step="Deliver\n"), bent(step=3), bent(digests=[]),
    bent(digests={"bundle": "x"}), bent(digests={"b\n": "b" * 64}), bent(times={"backup": 1}),
    bent(times={"backup": "-1"}), bent(notes={"a": "\x1b[2J"}), bent(notes=None),
    bent(fingerprint="k" * 101), bent(more="1"), bent(notes={"a": {}}), "\n" + bent(),
], ids=lambda text: repr(text)[:40])
def test_a_bent_or_foreign_record_is_none(text: str | None) -> None:
    assert record.parse(text) is None
