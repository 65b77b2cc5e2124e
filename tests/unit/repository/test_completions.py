"""What TAB offers in dom0, by a real bash: what the commands take, and nothing that could run."""

import json
import subprocess
from pathlib import Path

import pexpect
import pytest

from static import completions, tree

FOLDER = tree.ROOT / "dom0/completions"
QUBES = ("dom0|AdminVM", "debian-13|TemplateVM", "personal|AppVM", "vault|StandaloneVM",
         "work|AppVM", "work.old_2|AppVM", "disp7|DispVM")  # fmt: skip
# Each would leave a file `ran` if it were expanded, evaluated or split at the wrong place.
HOSTILE = ("$(touch ran)", "`touch ran`", "w;touch ran", "work$(touch ran)", "a[$(touch ran)]",
           "-rf", "w*", "wo rk", "'w", '"w', "w\\", "w\x1b]0;title\x07", "w|AppVM")  # fmt: skip
ARCHIVE = "work-2026-01-31T10:17:00"
RECORD = json.dumps({"notes": {"archive": ARCHIVE, "escrow": "in the vault"}, "step": "forget"},
                    sort_keys=True, separators=(",", ":"))  # fmt: skip
STAND_IN = """\
#!/bin/sh
printf '%s\\n' "$*" >> {folder}/asked
cat {folder}/{answer}
"""
PRESS = """\
. {folder}/qvm-borg-{name}
COMP_LINE=$1 COMP_POINT=${{#1}} COMPREPLY=()
_qvm_borg_{name}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
EVERY = ["personal", "vault", "work", "work.old_2"]
ROWS = {
    "nothing-typed": ("backup ", EVERY),
    "begun": ("backup wo", ["work", "work.old_2"]),
    "a-second-one": ("check work p", ["personal"]),
    "no-more-than-one": ("revoke work --qua", ["--quarantine"]),
    "behind-the-only-one": ("rotate work --new", ["--new-repository"]),
    "options": ("backup --j", ["--jobs", "--json"]),
    "of-a-setup": ("setup --s", ["--server", "--salt"]),
    "words": ("enroll work --keys ", ["maintenance", "client"]),
    "colour": ("setup --label g", ["green", "gray"]),
    "template": ("setup --template ", ["debian-13"]),
    "what-salt-installs-in": ("setup --salt ", ["debian-13", "vault"]),
    "into-another": ("restore work --to p", ["personal"]),
    "into-a-new-one": ("restore work --to-new ", []),
    "after-a-value": ("restore --at 2026-01-31 w", ["work", "work.old_2"]),
    "a-path-is-the-qubes": ("restore work /", []),
    "archives": ("restore work --archive ", ["latest", ARCHIVE]),
    "archive-begun": ("restore work --archive work-2026-01-31T10:", ["17:00"]),
    "archive-of-none": ("restore --archive ", ["latest"]),
    "a-number": ("backup --jobs ", []),
    "an-unknown-option": ("backup --nothing w", ["work", "work.old_2"]),
}


@pytest.fixture(name="place")
def make_place(tmp_path: Path) -> Path:
    """Answer a folder with stand-ins for dom0's own two programs, and what they answer."""
    for program, answer in {"qvm-ls": "\n".join(QUBES) + "\n", "qvm-features": RECORD}.items():
        (tmp_path / f"{program}.answer").write_text(answer)
        path = tmp_path / program
        path.write_text(STAND_IN.format(folder=tmp_path, answer=f"{program}.answer"))
        path.chmod(0o755)
    (tmp_path / "asked").write_text("")
    return tmp_path


def environment(place: Path) -> dict[str, str]:
    """Answer what bash is started with."""
    return {"PATH": f"{place}:/usr/bin:/bin", "HOME": str(place), "LC_ALL": "C", "TERM": "dumb"}


def tab(place: Path, line: str) -> list[str]:
    """Answer what TAB offers behind `qvm-borg-LINE`; whatever is on standard error is a fault."""
    name = line.partition(" ")[0]
    script = PRESS.format(folder=FOLDER, name=name)
    done = subprocess.run(
        ["/bin/bash", "--norc", "--noprofile", "-uc", f"COMP_WORDBREAKS=:=; {script}", "bash",
         f"qvm-borg-{line}"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        cwd=place, env=environment(place), timeout=60)  # fmt: skip
    assert done.stderr == ""
    assert not (place / "ran").exists()
    return list(filter(None, done.stdout.split("\n")))


@pytest.mark.parametrize("name", sorted(completions.written()))
def test_a_file_offers_what_the_command_takes(name: str) -> None:
    assert tree.text(name) == completions.written()[name], "run `make docs`"


def test_there_is_no_other_file() -> None:
    there = {name for name in tree.files() if name.startswith("dom0/completions/")}

    assert there == {*completions.written(), "dom0/completions/qvm-borg"}


@pytest.mark.parametrize(("line", "offered"), ROWS.values(), ids=ROWS)
def test_tab_offers(line: str, offered: list[str], place: Path) -> None:
    assert tab(place, line) == offered


@pytest.mark.parametrize("name", completions.NAMES)
def test_each_command_offers_its_options(name: str, place: Path) -> None:
    assert {"--help", "--verbose"} <= set(tab(place, f"{name} --"))
    assert (place / "asked").read_text() == ""  # they stand in the file


def test_no_qube_is_asked_for_its_archives(place: Path) -> None:
    tab(place, "restore work --archive ")

    assert (place / "asked").read_text() == "-- work x-qborg\n"


def test_the_qubes_are_asked_for_once_a_minute(place: Path) -> None:
    press = PRESS.format(folder=FOLDER, name="backup")
    script = f"COMP_WORDBREAKS=:=; {press}\n{press}"
    done = subprocess.run(
        ["/bin/bash", "--norc", "--noprofile", "-uc", script, "bash", "qvm-borg-backup p"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=place,
        env=environment(place), timeout=60)  # fmt: skip

    assert done.stdout.split() == ["personal", "personal"]
    assert len((place / "asked").read_text().splitlines()) == 1


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_name_that_is_not_plain_is_neither_offered_nor_run(hostile: str, place: Path) -> None:
    for answer in ("qvm-ls.answer", "qvm-features.answer"):
        record = RECORD.replace(ARCHIVE, hostile)
        text = f"{hostile}|AppVM\nwork|AppVM\n" if answer == "qvm-ls.answer" else record
        (place / answer).write_text(text)

    assert set(tab(place, "backup ")) <= {"work", "w"}  # `w|AppVM` is the qube w
    assert tab(place, "restore work --archive ") == ["latest"]


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("line", ["backup {}", "backup {} w", "restore {} --archive ",
                                  "restore --archive {} w", "setup --label {}"])  # fmt: skip
def test_what_is_typed_runs_nothing(line: str, hostile: str, place: Path) -> None:
    tab(place, line.format(hostile))


def test_a_qubesd_that_is_silent_is_no_qube(place: Path) -> None:
    (place / "qvm-ls").write_text("#!/bin/sh\necho no >&2\nexit 1\n")

    assert tab(place, "backup ") == []


def test_a_key_is_pressed_in_a_terminal(place: Path) -> None:
    (place / "qvm-borg-restore").write_text("#!/bin/sh\nprintf 'got:%s;' \"$@\"\n")
    (place / "qvm-borg-restore").chmod(0o755)
    with pexpect.spawn("/bin/bash", ["--norc", "--noprofile", "-i"], env=environment(place),
                       cwd=str(place), encoding="ascii", timeout=60) as bash:  # fmt: skip
        bash.sendline(f"bind 'set bell-style none'; . {FOLDER}/qvm-borg-restore; PS1='ready> '")
        bash.expect("\nready> ")
        bash.send("qvm-borg-restore pers\t--arch\twork-2026-01-31T10:1\t\r")

        bash.expect("got:.*ready> ")
        assert bash.match is not None
        assert "got:personal;got:--archive;" in bash.match.group()
        assert f"got:{ARCHIVE};" in bash.match.group()
