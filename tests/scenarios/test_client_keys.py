"""The qube as its own keyholder: enrolled, rotated, cut in between; what other qubes hold of it."""

import pytest

from lab import Lab
from scenarios import person, state

KEEPER, VAULT, CLIENT = "borg-maintenance", "vault", "work"
SHARE = "/home/user/.local/share/qubes-borg"
RECORDS = f"{SHARE}/records/qubes-work"


@pytest.fixture
def own(vaulted: Lab) -> Lab:
    """work is enrolled with keys of its own making."""
    vaulted.faults.clear()
    person.runs(vaulted, "qvm-borg-enroll", CLIENT, "--keys", "client")
    return vaulted


def _lines(lab: Lab) -> list[bytes]:
    """Answer work's lines at the server."""
    keys = lab.server.exec(["cat", f"{person.HOME}/{person.KEYS}"], check=True).stdout
    return [line for line in keys.split(b"\n") if b"repos/qubes-work\"" in line]


def _reads(lab: Lab, path: str) -> bytes:
    return lab.exec(CLIENT, ["cat", path], check=True).stdout.strip()


def _is_settled(lab: Lab) -> None:
    """One key at the server, which is the qube's own; nothing in preparation; the gate closed."""
    public = b" ".join(_reads(lab, ".ssh/backups/qubes-work.openssh.pub").split()[:2])
    assert [public in line for line in _lines(lab)] == [True]
    left = lab.exec(CLIENT, ["ls", "-A", ".ssh/backups.d"], check=True).stdout.decode().split()
    assert len(left) == 1 and left[0].isdigit(), left
    assert "rotation" not in state.noted(lab)["notes"] and state.noted(lab)["step"] == "forget"
    assert state.gates(lab) == []
    person.runs(lab, "qvm-borg-backup", CLIENT)
    person.runs(lab, "qvm-borg-check", CLIENT)


def test_its_secrets_are_in_the_qube_and_in_the_vault_alone(own: Lab) -> None:
    _is_settled(own)
    passphrase = _reads(own, ".ssh/backups/borgpass")
    private = _reads(own, ".ssh/backups/qubes-work.openssh").split(b"\n")[4]

    own.do("start", VAULT)
    for secret in (passphrase, private):
        holds = ["grep", "-rlF", secret.decode(), "/home", "/rw", "/var/log"]
        assert own.exec(KEEPER, holds, user="root").stdout == b""
        places = ["/home", "/etc/qubes", "/var/log"]
        found = own.exec("dom0", ["grep", "-rlF", secret.decode(), *places], user="root")
        assert found.stdout == b""
        assert RECORDS.encode() in own.exec(VAULT, holds, user="root").stdout
    said = person.runs(own, "qvm-borg-enroll", CLIENT)
    assert "nothing was changed" in said


ASKED: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "both": ((), {"key", "passphrase"}),
    "ssh-key": (("--ssh-key",), {"key"}),
    "passphrase": (("--passphrase",), {"passphrase"}),
}


def _secrets(lab: Lab) -> dict[str, bytes]:
    places = {"key": ".ssh/backups/qubes-work.openssh", "passphrase": ".ssh/backups/borgpass"}
    return {name: _reads(lab, path) for name, path in places.items()}


def _renewed(lab: Lab, before: dict[str, bytes]) -> set[str]:
    after = _secrets(lab)
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(("options", "renewed"), ASKED.values(), ids=ASKED)
def test_a_rotation_replaces_what_was_asked_for(
    escrowed: Lab, options: tuple[str, ...], renewed: set[str]
) -> None:
    before, line = _secrets(escrowed), _lines(escrowed)

    said = person.runs(escrowed, "qvm-borg-rotate", CLIENT, *options)

    assert _renewed(escrowed, before) == renewed
    assert (_lines(escrowed) != line) == ("key" in renewed)
    assert "a file was read back in a worker" in said
    assert len(state.archives(escrowed)) == 1
    _is_settled(escrowed)
    person.runs(escrowed, "qvm-borg-check", CLIENT, "--keys")


def test_a_former_key_and_a_former_passphrase_open_nothing(escrowed: Lab) -> None:
    keep = "cp -rL .ssh/backups /tmp/former && sed -i s,~/.ssh/backups,/tmp/former, " \
           "/tmp/former/bakserver"
    escrowed.exec(CLIENT, ["sh", "-euc", keep], check=True)
    person.runs(escrowed, "qvm-borg-rotate", CLIENT)

    tried = escrowed.exec(CLIENT, ["ssh", "-F", "/tmp/former/bakserver", "bakserver", "x"])
    assert b"Permission denied" in tried.stderr
    former = _reads(escrowed, "/tmp/former/borgpass").decode()
    opened = escrowed.exec(
        CLIENT, ["env", f"BORG_PASSPHRASE={former}", "BORG_REMOTE_PATH=borg14",
                 "BORG_RSH=ssh -F /home/user/.ssh/backups/bakserver", "borg", "info",
                 "ssh://bakserver/./repos/qubes-work"])
    assert opened.returncode != 0 and b"is incorrect" in opened.stderr


CUTS = {
    "before-anything": ("qborg.PrepareBundle+qubes-work", "before"),
    "made": ("qborg.PrepareBundle+qubes-work", "after"),
    "registered": ("qborg.RegisterKey+qubes-work", "after"),
    "published": ("qborg.PublishKeys*", "after"),
    "opened": ("qborg.OpenRepository+qubes-work", "after"),
    "submitted": ("qborg.SubmitRecord+qubes-work", "after"),
    "adopted": ("qborg.AdoptBundle+qubes-work", "after"),
    "proved": ("qborg.ProveRecord+qubes-work", "after"),
}


OFTEN = ("registered", "adopted")  # at each commit; the others with `make test-kill`
VICTIMS = {"tool": "kill-tool", "qube": f"kill-qube:{CLIENT}"}
ROWS = [
    pytest.param(*ASKED[asked], *CUTS[cut], VICTIMS[victim], id=f"{asked}-{cut}-{victim}",
                 marks=[pytest.mark.kill] * ((asked, victim) != ("both", "tool")
                                             or cut not in OFTEN))
    for asked in ASKED for cut in CUTS for victim in VICTIMS
]  # fmt: skip


@pytest.mark.parametrize(("options", "renewed", "call", "when", "victim"), ROWS)
def test_a_rotation_that_was_cut_leaves_one_that_works_and_the_next_run_ends_it(
    escrowed: Lab, options: tuple[str, ...], renewed: set[str], call: str, when: str, victim: str
) -> None:
    before, rotate = _secrets(escrowed), ("qvm-borg-rotate", CLIENT, *options)
    escrowed.faults.clear()
    escrowed.faults.add(where="qrexec", match=call, action=victim, when=when, n=0)
    cut = escrowed.run(list(rotate), timeout=900)
    assert any(entry["hit"] for entry in escrowed.trace())
    escrowed.faults.clear()
    if escrowed.qubes()[CLIENT]["state"] == "Halted":
        escrowed.do("start", CLIENT)
    rotated = person.runs(escrowed, *rotate)

    # A qube that fell between two calls was started again, and the rotation was whole.
    assert ("an unfinished rotation goes on" in rotated) == (cut.returncode != 0)
    assert _renewed(escrowed, before) == renewed
    assert len(state.archives(escrowed)) == 1
    _is_settled(escrowed)
