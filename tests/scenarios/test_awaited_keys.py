"""A list of keys that is not ours to write: lines are shown, awaited, and tried before use."""

import re
from collections.abc import Iterator

import pytest

from lab import Lab
from scenarios import lost, person, typist

KEYS = f"{person.HOME}/{person.KEYS}"
ENROLL = ("qvm-borg-enroll", "work", "--no-escrow")
LINE = re.compile(rb'^command="(borg14 serve --append-only --restrict-to-repository'
                  rb' repos/qubes-work)",restrict (ssh-ed25519 \S+) qubes-work$', re.MULTILINE)


@pytest.fixture(scope="module", params=["shell", "borg"])
def account(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """A lab whose account's list is root's, set up; with plain commands, or with borg alone."""
    path = tmp_path_factory.mktemp("world") / "world.toml"
    text = typist.WORLD.read_text(encoding="ascii")
    more = f'keys = "root"\noffers = "{request.param}"'
    path.write_text(text.replace("quota_mb = 64", more), encoding="ascii")
    with Lab.up(path) as lab:
        lab.do("start", "sys-firewall")
        command = ("qvm-borg-setup", "--server", person.SERVER, "--fingerprint",
                   person.fingerprint(lab))  # fmt: skip
        said = person.runs(lab, *command, code=15)
        _adds(lab, re.search(r"^ssh-ed25519 .+$", said, re.MULTILINE)[0].encode())
        found = person.runs(lab, "qvm-borg-setup")
        assert f"access {request.param}, keys awaited" in found and "not ours to write" in found
        lab.do("start", typist.KEEPER)
        lab.snapshot("ready")
        yield lab


@pytest.fixture
def ready(account: Lab) -> Lab:
    """Set up; the list holds the admin's line only."""
    account.restore("ready")
    return account


def _adds(lab: Lab, line: bytes) -> None:
    """Do what the owner of the list does on a web page."""
    lab.server.exec(["dd", f"of={KEYS}", "oflag=append", "conv=notrunc"], input=line + b"\n",
                    check=True)  # fmt: skip


def _line(lab: Lab) -> re.Match[bytes]:
    """Enrol as far as it goes, which must be to one shown line, and answer it."""
    before = lab.server.exec(["cat", KEYS], check=True).stdout
    said = person.is_refused(lab, *ENROLL, code=15, says="does not accept its key yet")
    assert lab.server.exec(["cat", KEYS], check=True).stdout == before
    lines = list(LINE.finditer(said.encode()))
    assert len(lines) == 1, said
    return lines[0]


def test_the_line_is_shown_and_the_next_run_goes_on_when_it_is_there(ready: Lab) -> None:
    line = _line(ready)
    assert _line(ready)[0] == line[0]
    shown = ready.run(["qvm-borg-enroll", "work", "--show-authorized-keys"], check=True)
    assert shown.stdout == line[0] + b"\n"
    _adds(ready, line[0])

    said = person.runs(ready, *ENROLL)

    assert "work: enrolled as qubes-work" in said and "a file was read back" in said
    assert "nothing was changed" in person.runs(ready, *ENROLL)


def test_an_escrowed_qube_goes_on_also_with_a_new_maintenance_qube(ready: Lab) -> None:
    person.runs(ready, "qvm-borg-setup", "--vault", lost.VAULT)
    said = person.is_refused(ready, *ENROLL[:2], code=15, says="does not accept its key yet")
    _adds(ready, LINE.search(said.encode())[0])
    person.runs(ready, *ENROLL[:2])
    assert "nothing was changed" in person.runs(ready, *ENROLL[:2])
    lost.removes(ready)

    person.runs(ready, *lost.RECOVER)

    assert "nothing was changed" in person.runs(ready, *ENROLL[:2])
    person.runs(ready, "qvm-borg-check", "work")


FREE = "is not held to borg serve"
LOOSE = {
    "no-forced-command": (lambda line: line[2], FREE),
    "only-restrict": (lambda line: b"restrict " + line[2], FREE),
    "another-command": (lambda line: b'command="ls",restrict ' + line[2], FREE),
    "borg-without-limits": (
        lambda line: b'command="borg14 serve",restrict ' + line[2], "opens other repositories"),
    "all-repositories": (
        lambda line: b'command="borg14 serve --restrict-to-path repos",restrict ' + line[2],
        "opens other repositories"),
    "another-repository": (
        lambda line: line[0].replace(b"repos/qubes-work", b"repos/qubes-vault"),
        "does not open its own repository"),
}


@pytest.mark.parametrize("name", LOOSE)
def test_a_line_that_opens_something_else_is_refused(ready: Lab, name: str) -> None:
    bend, says = LOOSE[name]
    _adds(ready, bend(_line(ready)))

    person.is_refused(ready, *ENROLL, code=17, says=says)

    repository = ready.server.exec(["ls", f"{person.HOME}/repos/qubes-work"])
    assert repository.returncode != 0


def test_a_revoked_line_is_shown_until_it_is_gone(ready: Lab) -> None:
    revoke, line = ("qvm-borg-revoke", "work"), _line(ready)
    _adds(ready, line[0])
    person.runs(ready, *ENROLL)

    said = person.is_refused(ready, *revoke, code=15, says="still accepts its key")

    assert line[0] in said.encode()
    assert ready.exec("work", ["test", "-e", ".ssh/backups"]).returncode == 0
    ready.server.exec(["sed", "-i", "/ qubes-work$/d", KEYS], check=True)
    said = person.runs(ready, *revoke)
    assert "qubes-work: revoked" in said and "refuses it" in said
    assert ready.exec("work", ["test", "-e", ".ssh/backups"]).returncode == 1


def test_what_borg_alone_serves_cannot_be_deleted_from_here(ready: Lab) -> None:
    _adds(ready, _line(ready)[0])
    person.runs(ready, *ENROLL)
    ready.server.exec(["sed", "-i", "/ qubes-work$/d", KEYS], check=True)
    found = ready.exec(typist.KEEPER, ["cat", ".local/share/qubes-borg/settings.json"], check=True)
    alone = b'"access": "borg"' in found.stdout
    delete = ("qvm-borg-revoke", "work", "--delete-repository", "--yes")

    if alone:
        person.is_refused(ready, *delete, code=19, says="no command that could delete it")
    else:
        assert "repos/qubes-work is deleted" in person.runs(ready, *delete)

    there = ready.server.exec(["test", "-e", f"{person.HOME}/repos/qubes-work"])
    assert (there.returncode == 0) == alone
    assert (ready.exec("work", ["test", "-e", ".ssh/backups"]).returncode == 0) == alone
