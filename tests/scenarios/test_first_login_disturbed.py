"""A first login that others write into, or that is cut: nothing of theirs is lost, ever.

The moments are those of a clean run's commands at the server, as in test_publication_cut.
"""

import re
import time
from collections.abc import Callable

import pytest

from lab import Lab
from lab.running import RunningProcess
from scenarios import bent, rehearsal, typist
from scenarios.person import HOME, KEYS
from scenarios.typist import KEEPER, PASSWORD

FORMER = b"# mine\r\n%s laptop" % rehearsal.OTHER  # its last line has no end
LINE = b"\n%s added-just-now\n" % rehearsal.OTHER
OURS = re.compile(rb"\n?ssh-ed25519 \S+ qubes-borg-admin qubes\n")
# What a first login runs in the account after the probe of what the account offers.
COMMANDS = (
    "cat",
    "ls -d .ssh",
    "ls .ssh/qborg-lock",
    "mkdir .ssh/qborg-lock",
    "mkdir .ssh/qborg-lock/ENTRY",
    "ls .ssh/qborg-lock",
    "ls -d .ssh/authorized_keys",
    "cat .ssh/authorized_keys",
    *rehearsal.SWAP_COMMANDS,
    "ls -d repos",
    "mkdir repos",
)
# What comes after the seventh of them where there is no list of keys yet, until its upload.
MAKE, MAKE_COMMANDS = 8, (
    "dd of=.ssh/authorized_keys.qborg-new",
    "chmod 600 .ssh/authorized_keys.qborg-new",
    "cp -l .ssh/authorized_keys.qborg-new .ssh/authorized_keys",
    "cat .ssh/authorized_keys",
    *rehearsal.SWAP_COMMANDS[:2],
)
CHANGES = [number for number, command in enumerate(COMMANDS, 1)
           if command.split()[0] not in ("cat", "ls")]  # fmt: skip
READ, COPY, SWAP, PROOF = 8, 14, 18, 19  # numbers of commands
_LOGIN = ["qborg-admin", "login", "--password-fd", "0"]


@pytest.fixture(scope="module")
def lab(account: Lab) -> Lab:
    """A lab whose set-up was killed while it waited for the password."""
    tool = typist.begins(account)
    tool.kill()
    tool.close()
    account.exec(KEEPER, ["pkill", "-f", "qborg.FirstLogin"], user="root", check=True)
    return account


def _resets(lab: Lab, content: bytes | None) -> None:
    """Undo what a rehearsal did: an account with a password and that list of keys."""
    lab.server.account.unwatch()
    if lab.qubes()[KEEPER]["state"] != "Running":
        lab.do("start", KEEPER)
    lab.server.exec(["sh", "-euc", f"cd {HOME}; rm -rf .ssh/*qborg* .ssh/authorized_keys repos"],
                    check=True)  # fmt: skip
    if content is not None:
        script = f"umask 077; cat > {HOME}/{KEYS}"
        lab.server.exec(["sh", "-c", script], user="zh1234", input=content, check=True)


def _begins(lab: Lab) -> RunningProcess:
    login = lab.popen(KEEPER, _LOGIN)
    login.stdin.write(PASSWORD + b"\n")
    login.stdin.close()
    return login


def _ends(login: RunningProcess) -> tuple[int, str]:
    out, err = login.communicate(None, 200)
    login.close()
    assert b"Traceback" not in err and PASSWORD not in out + err
    return login.returncode, (out + err).decode()


def _converges(lab: Lab, foreign: bytes) -> None:
    """One more run is a success; what others wrote is there, and our line once."""
    code, said = typist.types(lab, PASSWORD)
    assert code == 0, said
    found = rehearsal.read(lab)
    assert len(OURS.findall(found)) == 1
    assert OURS.sub(b"", found).strip() == foreign.strip()
    assert typist.types(lab, b"wrong") == (0, "the server accepts the admin key already\n")
    left = rehearsal.left_at_the_server(lab) - {"authorized_keys", "authorized_keys.qborg-bak"}
    # One that was killed with its work done leaves a lock that this computer knows for its own.
    assert not left or "already" in said and left == {"qborg-lock"}


def test_the_table_has_every_command(lab: Lab) -> None:
    _resets(lab, FORMER)
    lab.server.account.watch()

    code, said = typist.types(lab, PASSWORD)
    assert code == 0, said

    assert rehearsal.commands(lab) == list(COMMANDS)
    assert rehearsal.read(lab).startswith(FORMER + b"\n")


EDITED = [(number, "before") for number in range(COPY, PROOF + 1)] + [(SWAP, "after")]


@pytest.mark.parametrize(("number", "when"), EDITED)
def test_a_line_that_a_person_adds_meanwhile_is_noticed_and_kept(
    lab: Lab, number: int, when: str
) -> None:
    _resets(lab, FORMER)
    with rehearsal.held(lab, number, when, begins=_begins) as login:
        rehearsal.add_line(lab, LINE)

    code, said = _ends(login)

    found = rehearsal.read(lab)
    assert found.count(LINE.strip()) == 1 and found.startswith(FORMER)
    if when == "before" and number < SWAP:
        assert code == 1 and "someone else changed authorized_keys" in said, said
    _converges(lab, FORMER + LINE)


@pytest.mark.parametrize("number", [COPY, COPY + 2, SWAP - 1, PROOF])
def test_a_person_who_replaces_the_file_meanwhile_is_noticed(lab: Lab, number: int) -> None:
    _resets(lab, FORMER)
    with rehearsal.held(lab, number, begins=_begins) as login:
        lab.server.exec(["sed", "-i", "s/^# mine/# edited/", f"{HOME}/{KEYS}"], user="zh1234",
                        check=True)  # fmt: skip

    code, said = _ends(login)

    edited = FORMER.replace(b"# mine", b"# edited")
    assert rehearsal.read(lab).startswith(edited)
    assert number == PROOF or code == 1 and "someone else changed authorized_keys" in said, said
    _converges(lab, edited)


SAVES = {
    "in-place": f"cat > {HOME}/{KEYS}",
    "by-a-new-file": f"cd {HOME}/.ssh; umask 077; cat > mine; mv mine authorized_keys",
}


@pytest.mark.parametrize(("number", "when"), [(SWAP, "after"), (PROOF, "before")])
@pytest.mark.parametrize("script", SAVES.values(), ids=SAVES)
def test_what_a_person_saves_over_ours_from_an_older_copy_stays(
    lab: Lab, number: int, when: str, script: str
) -> None:
    _resets(lab, FORMER)
    theirs = FORMER + LINE
    with rehearsal.held(lab, number, when, begins=_begins) as login:
        lab.server.exec(["sh", "-euc", script], user="zh1234", input=theirs, check=True)

    code, said = _ends(login)

    assert code == 1 and "someone else changed authorized_keys after us" in said, said
    assert rehearsal.read(lab) == theirs
    _converges(lab, theirs)


def test_a_new_list_that_lets_nobody_in_is_undone(lab: Lab) -> None:
    _resets(lab, FORMER)
    with rehearsal.held(lab, SWAP, "after", begins=_begins) as login:
        lab.server.exec(["chmod", "777", HOME], check=True)

    code, said = _ends(login)

    lab.server.exec(["chmod", "755", HOME], check=True)
    assert code == 1 and "hint: " in said and rehearsal.read(lab) == FORMER, said
    _converges(lab, FORMER)


def _cut(lab: Lab, _login: RunningProcess) -> None:
    lab.server.drop_sessions()


def _kill_login(lab: Lab, _login: RunningProcess) -> None:
    lab.exec(KEEPER, ["pkill", "-KILL", "-f", "qborg-admin login"], user="root", check=True)


def _kill_qube(lab: Lab, _login: RunningProcess) -> None:
    lab.do("kill", KEEPER)


CUT = [
    *((number, "before", _kill_login) for number in CHANGES),
    *((number, "before", _cut) for number in (READ, READ + 1, COPY, SWAP, PROOF, PROOF + 2)),
    *((SWAP, "after", act) for act in (_cut, _kill_login, _kill_qube)),
    (SWAP, "before", _kill_qube),
]


@pytest.mark.parametrize(
    ("number", "when", "act"), CUT, ids=lambda value: getattr(value, "__name__", None))
def test_one_that_is_cut_loses_nothing_and_the_next_one_converges(
    lab: Lab, number: int, when: str, act: Callable[[Lab, RunningProcess], None]
) -> None:
    _resets(lab, FORMER)

    with rehearsal.held(lab, number, when, begins=_begins) as login:
        act(lab, login)
    _ends(login)
    if act is _kill_qube:
        lab.do("start", KEEPER)

    assert rehearsal.read(lab).startswith(FORMER)
    _converges(lab, FORMER)


def test_an_account_without_a_list_of_keys_gets_one(lab: Lab) -> None:
    _resets(lab, None)
    lab.server.account.watch()

    code, said = typist.types(lab, PASSWORD)
    assert code == 0, said

    assert rehearsal.commands(lab)[MAKE - 1 :][: len(MAKE_COMMANDS)] == list(MAKE_COMMANDS)
    lab.server.account.unwatch()
    _converges(lab, b"")
    assert _is_alone(lab)


@pytest.mark.parametrize("act", [_cut, _kill_login])
@pytest.mark.parametrize("number", range(MAKE, MAKE + len(MAKE_COMMANDS)), ids=MAKE_COMMANDS)
def test_one_that_is_cut_while_it_makes_a_list_leaves_one_that_nothing_else_is_written_to(
    lab: Lab, number: int, act: Callable[[Lab, RunningProcess], None]
) -> None:
    _resets(lab, None)

    with rehearsal.held(lab, number, begins=_begins) as login:
        act(lab, login)
    _ends(login)

    _converges(lab, b"")
    assert _is_alone(lab)


def _is_alone(lab: Lab) -> bool:
    """Tell whether the list of keys is the account's own and has no second name."""
    found = lab.server.exec(["stat", "-c", "%a %U %h", f"{HOME}/{KEYS}"]).stdout
    return found == b"600 zh1234 1\n"


def test_it_waits_for_another_computer_and_says_so(lab: Lab) -> None:
    _resets(lab, FORMER)
    entry = rehearsal.locks(lab, 1)
    login = _begins(lab)

    assert login.stderr.readline().startswith(b"waiting for another computer")
    assert rehearsal.read(lab) == FORMER
    lab.server.exec(["rmdir", entry], user="zh1234", check=True)
    assert _ends(login)[0] == 0
    _converges(lab, FORMER)


_OTHER = "borg-laptop"
# The same admin at another computer, whose maintenance qube is set up and has a key to publish.
_BECOME = """
import json
path = "/home/user/.local/share/qubes-borg/%s.json"
known = json.load(open(path %% "pending")) | {"machine": "laptop", "machine_id": "%s"}
json.dump(known, open(path %% "settings", "w"))
""" % ("%s", "ffeeddccbbaa99887766554433221100")
_OWN_KEY = "ssh-keygen -q -t ed25519 -N '' -f .ssh-mine; qborg-admin import .ssh-mine"
TIMES = 10


def test_at_the_same_moment_as_another_computers_publication_both_are_there(lab: Lab) -> None:
    _resets(lab, FORMER + b"\n")
    assert typist.types(lab, PASSWORD)[0] == 0
    bent.clones(lab, KEEPER, _OTHER)
    for qube in (KEEPER, _OTHER):
        lab.do("start", qube)
    lab.exec(_OTHER, ["python3", "-I", "-c", _BECOME], check=True)
    made = rehearsal.ends(rehearsal.starts(
        lab, "MakeKeys+laptop-mail", _OTHER, quota="keep", directory="none"))
    assert "outcome=ok\n" in made, made
    theirs = rehearsal.read(lab)
    lab.exec(KEEPER, ["sh", "-euc", _OWN_KEY], check=True)

    for turn in range(TIMES):
        _resets(lab, theirs)
        login = _begins(lab)
        time.sleep(0.1 * turn)  # so that they meet at different moments
        reply = rehearsal.ends(rehearsal.starts(lab, qube=_OTHER))

        assert _ends(login)[0] == 0 and "outcome=ok\n" in reply, reply
        found = rehearsal.read(lab)
        assert len(re.findall(rb" qubes-borg-admin qubes\n", found)) == 2
        assert rehearsal.BLOCK.findall(found) == [b"laptop"] and found.count(b" laptop-mail\n") == 1
