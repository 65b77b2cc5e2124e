"""The main job: from two commands in dom0 to a file that came back."""

from lab import Lab
from scenarios import person, state


def test_set_up_shows_one_line_and_goes_on_when_it_is_there(fresh: Lab) -> None:
    person.sets_up(fresh)

    before = state.everything(fresh)
    said = person.runs(fresh, "qvm-borg-setup")

    assert "borg14" in said
    assert state.everything(fresh) == before


def test_an_enrolled_qube_is_backed_up_and_proved(ready: Lab) -> None:
    said = person.runs(ready, "qvm-borg-enroll", "work", "--no-escrow")

    assert "work: enrolled" in said
    listed = ready.exec("work", ["borgbak", "list", "--short"], check=True).stdout.decode()
    assert len(listed.splitlines()) == 1 and listed.startswith("work-")
    assert state.gates(ready) == []


def test_status_tells_of_it_and_starts_nothing(enrolled: Lab) -> None:
    seen = "/rw/home/user/.local/share/qubes-borg/seen.json"
    person.runs(enrolled, "qvm-borg-status")  # the first look is remembered
    before = state.everything(enrolled)
    before["borg-maintenance"].pop(seen)  # when the last look was

    said = person.runs(enrolled, "qvm-borg-status")

    assert "\nwork  20" in said and "none, by choice" in said
    after = state.everything(enrolled)
    after["borg-maintenance"].pop(seen)
    assert after == before


def test_enrolling_again_changes_nothing(enrolled: Lab) -> None:
    before = state.everything(enrolled)

    said = person.runs(enrolled, "qvm-borg-enroll", "work", "--no-escrow")

    assert "nothing was changed" in said
    assert state.everything(enrolled) == before


def test_a_dry_run_says_what_would_change_and_changes_nothing(ready: Lab) -> None:
    before = state.everything(ready)

    said = person.runs(ready, "qvm-borg-enroll", "personal", "--no-escrow", "--dry-run")

    for place in ("dom0", "personal", "borg-maintenance", person.SERVER):
        assert place in said
    assert state.everything(ready) == before


def test_two_qubes_are_published_once_and_the_halted_one_is_halted_again(ready: Lab) -> None:
    ready.faults.clear()
    person.runs(ready, "qvm-borg-enroll", "work", "personal", "--no-escrow")

    published = [call for call in ready.trace() if call["name"].startswith("qborg.PublishKeys")]
    assert len(published) == 1
    assert ready.qubes()["personal"]["state"] == "Halted"
    assert ready.qubes()["work"]["state"] == "Running"


def test_a_changed_file_comes_back_as_it_was(enrolled: Lab) -> None:
    path, content = "/home/user/a file \u00e9.txt", b"first\n" * 1000
    enrolled.exec("work", ["dd", f"of={path}"], input=content, check=True)
    person.runs(enrolled, "qvm-borg-backup", "work")
    enrolled.exec("work", ["dd", f"of={path}"], input=b"second\n", check=True)

    person.runs(enrolled, "qvm-borg-restore", "work", path, "--to-directory", "/home/user/back")

    back = enrolled.exec("work", ["cat", f"/home/user/back{path}"], check=True).stdout
    assert back == content


def test_the_server_refuses_a_client_everything_but_its_own_repository(enrolled: Lab) -> None:
    other = ["borgbak", "list", "ssh://bakserver/./repos/qubes-personal"]
    assert b"not allowed" in enrolled.exec("work", other).stderr
    shell = enrolled.exec("work", ["ssh", "bakserver", "rm", "-rf", "repos"], input=b"")
    assert shell.returncode != 0
    listed = enrolled.exec("work", ["borgbak", "list"])
    assert listed.returncode == 0


def test_no_secret_is_in_dom0(enrolled: Lab) -> None:
    secret = enrolled.exec("work", ["cat", ".ssh/backups/borgpass"], check=True).stdout.strip()
    found = enrolled.exec(
        "dom0", ["grep", "-rlF", secret.decode(), "/home", "/etc", "/var", "/run", "/tmp"],
        user="root",
    )

    assert len(secret) == 43
    assert found.stdout == b""


def test_a_key_of_the_users_own_never_opens_the_repository(enrolled: Lab) -> None:
    """It would come without the forced command, and so without append-only."""
    enrolled.exec("work", ["ssh-keygen", "-q", "-N", "", "-f", ".ssh/id_ed25519"], check=True)
    key = enrolled.exec("work", ["cat", ".ssh/id_ed25519.pub"], check=True).stdout
    own = b"\nHost *\n    IdentityFile ~/.ssh/id_ed25519\n"
    enrolled.exec("work", ["tee", "-a", ".ssh/config"], input=own, check=True)
    enrolled.server.exec(
        ["dd", f"of={person.HOME}/{person.KEYS}"], user="zh1234", input=key, check=True
    )

    listed = enrolled.exec("work", ["borgbak", "list"])

    assert enrolled.exec("work", ["ssh", "bakserver", "ls", "repos"]).returncode == 0
    assert listed.returncode != 0 and b"qubes-work" not in listed.stdout
    said = person.runs(enrolled, "qvm-borg-backup", "work", code=17)
    assert "error: work:" in said
