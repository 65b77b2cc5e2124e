"""The account changes after the set-up: noticed, said, and recorded by the person alone."""

import re

import pytest

from lab import Lab
from scenarios import bent, lost, person, state

ENROLL = ("qvm-borg-enroll", "work", "--no-escrow")
SHOW = ("qvm-borg-enroll", "work", "personal", "--show-authorized-keys")
LINE = re.compile(rb'command="borg14 serve --append-only --restrict-to-repository'
                  rb' repos/qubes-(work|personal)",restrict ssh-ed25519 [A-Za-z0-9+/]+ qubes-\1')


def test_a_renamed_borg_is_followed_when_the_person_says_so(enrolled: Lab) -> None:
    enrolled.server.offer("borg12")
    said = person.is_refused(enrolled, *ENROLL, code=3, says="borg12 1.4.0 is there, and no borg14")
    assert "hint: `qvm-borg-setup --remote-borg BORG`" in said
    person.is_refused(enrolled, "qvm-borg-setup", code=3, says="borg12 1.4.0 is there")

    person.runs(enrolled, "qvm-borg-setup", "--remote-borg", "borg12")

    assert "the bundle is delivered" in person.runs(enrolled, *ENROLL)
    keys = enrolled.server.exec(["cat", f"{person.HOME}/{person.KEYS}"], check=True).stdout
    assert b'command="borg12 serve' in keys and b"borg14" not in keys
    assert "files" in person.runs(enrolled, "qvm-borg-backup", "work")


def test_a_renamed_borg_reaches_a_qube_whose_secrets_are_forgotten(escrowed: Lab) -> None:
    escrowed.server.offer("borg12")
    person.runs(escrowed, "qvm-borg-setup", "--remote-borg", "borg12")

    said = person.runs(escrowed, "qvm-borg-enroll", "work")

    assert "its bundle has the server's name for borg" in said and "in a worker" in said
    assert "files" in person.runs(escrowed, "qvm-borg-backup", "work")
    assert "nothing was changed" in person.runs(escrowed, "qvm-borg-enroll", "work")
    person.runs(escrowed, "qvm-borg-check", "work")
    person.runs(escrowed, "qvm-borg-recover", "--print-kit", "work")
    escrowed.do("start", "vault")
    kit = escrowed.exec("vault", ["sh", "-c", "cat qubes-borg-kit/kit-*.txt"], check=True).stdout
    assert b"BORG_REMOTE_PATH=borg12\n" in kit


@pytest.mark.kill
@pytest.mark.parametrize("victim", ["kill-tool", "kill-service", "kill-qube:work"])
def test_a_kill_as_the_borg_of_a_qube_is_renamed_is_mended_by_the_next_run(
    escrowed: Lab, victim: str
) -> None:
    escrowed.server.offer("borg12")
    person.runs(escrowed, "qvm-borg-setup", "--remote-borg", "borg12")
    escrowed.faults.clear()
    escrowed.faults.add(where="qrexec", match="qborg.RenameBorg+*", action=victim, when="after")
    escrowed.run(["qvm-borg-enroll", "work"], timeout=900)
    assert any(entry["hit"] for entry in escrowed.trace())
    escrowed.faults.clear()
    lost.starts(escrowed, "work")

    person.runs(escrowed, "qvm-borg-enroll", "work")

    assert state.gates(escrowed) == []
    assert "files" in person.runs(escrowed, "qvm-borg-backup", "work")
    assert "nothing was changed" in person.runs(escrowed, "qvm-borg-enroll", "work")


def test_a_name_that_the_server_does_not_have_changes_nothing(enrolled: Lab) -> None:
    before = state.everything(enrolled)

    person.is_refused(enrolled, "qvm-borg-setup", "--remote-borg", "borg13", code=3,
                      says="borg14 1.4.0 is there, and no borg13")  # fmt: skip

    assert state.changes(before, state.everything(enrolled)) == []


def test_a_key_list_that_was_taken_away_is_recorded_by_a_new_set_up(ready: Lab) -> None:
    bent.takes_the_key_list(ready)
    said = person.is_refused(ready, *ENROLL, code=3, says="key list awaited now")
    assert "hint: run `qvm-borg-setup` again" in said

    assert "access shell, keys awaited" in person.runs(ready, "qvm-borg-setup")

    person.is_refused(ready, *ENROLL, code=15, says="does not accept its key yet")


def test_the_lines_alone_are_shown_and_nothing_else_is_touched(ready: Lab) -> None:
    server, work = state.files(ready, "server", person.HOME), state.files(ready, "work", "/rw")
    qubes = state.qubesd(ready)

    shown = ready.run(list(SHOW), check=True)

    lines = shown.stdout.splitlines()
    assert [LINE.fullmatch(line)[1] for line in lines] == [b"work", b"personal"]
    assert ready.run(list(SHOW), check=True).stdout == shown.stdout
    assert state.files(ready, "server", person.HOME) == server
    assert state.files(ready, "work", "/rw") == work and state.qubesd(ready) == qubes
    person.runs(ready, *ENROLL)
    keys = ready.server.exec(["cat", f"{person.HOME}/{person.KEYS}"], check=True).stdout
    assert set(lines) <= set(keys.splitlines())


def test_the_line_of_an_enrolled_qube_is_the_one_at_the_server(escrowed: Lab) -> None:
    before = state.everything(escrowed)

    shown = escrowed.run(["qvm-borg-enroll", "work", "--show-authorized-keys"], check=True)

    keys = escrowed.server.exec(["cat", f"{person.HOME}/{person.KEYS}"], check=True).stdout
    assert shown.stdout in keys.splitlines(keepends=True)
    changed = state.changes(before, state.everything(escrowed))
    assert changed == [], changed


def test_the_lines_are_shown_with_the_server_away(ready: Lab) -> None:
    ready.server.stop_sshd()

    assert LINE.fullmatch(ready.run(list(SHOW), check=True).stdout.splitlines()[0])


def test_no_line_is_shown_for_a_qube_that_cannot_be_enrolled(ready: Lab) -> None:
    row = ("qvm-borg-enroll", "work", "offline", "--show-authorized-keys")
    before = state.everything(ready)

    person.is_refused(ready, *row, code=13, says="offline: has no netvm")

    assert ready.run(list(row)).stdout == b""
    assert state.changes(before, state.everything(ready)) == []
