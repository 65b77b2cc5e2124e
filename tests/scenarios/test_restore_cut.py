"""A restore that was cut, and is run again: of one archive, and whole."""

from typing import Any

import pytest

from lab import Lab
from scenarios import bent, person, state
from scenarios.letters import BACK, BESIDE, DOCS, LETTER, RESTORE, about, does

OTHER = "personal"
# A borg that has extracted all, and does not end.
_LINGERS = """
mv /usr/bin/borg /usr/bin/borg.genuine
printf '%s\n' '#!/bin/sh' '/usr/bin/borg.genuine "$@"; s=$?' \
    'case "$*" in *extract*) sleep 300 ;; esac; exit $s' > /usr/bin/borg
chmod 755 /usr/bin/borg
"""
# Many files to put in their places; and the service stopped once the first few are there.
_MANY = "mkdir docs/many; seq 20000 | (cd docs/many; xargs touch)"
_LOOKS = f"find {DOCS} -printf '%P %m %T@ %n\\n' | sort | sha256sum; cat {LETTER}"
_STOPS = f"""
import glob, os, signal
while open("{LETTER}").read() != "dear\\n":
    pass
for each in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        if b"qborg.Restore" + b"Files" in open(each, "rb").read():  # so it is none of them
            os.kill(int(each.split("/")[2]), signal.SIGSTOP)
    except OSError:
        pass
"""


def _is_cut(lab: Lab, *way: str) -> None:
    """Have the qube die when a restore has all of it and does not know yet."""
    does(lab, f"echo worse > {LETTER}; mkdir -p back")
    bent.root_does(lab, "work", _LINGERS)
    with lab.popen("dom0", [*RESTORE, DOCS, *way], input=False) as tool:
        come = "find back .local/state/qubes-borg -name letter"
        does(lab, f'until [ -n "$({come})" ]; do sleep 0.2; done')
        lab.do("kill", "work")
        tool.communicate(None, 120)
    assert tool.returncode not in (0, None)
    lab.do("start", "work")
    assert does(lab, f"cat {LETTER}") == "worse\n"


@pytest.mark.parametrize("way", [("--in-place", "--yes"), BESIDE], ids=["in-place", "beside"])
def test_what_was_cut_is_run_again_as_it_was_typed(
    written: Lab, letters_were: dict[str, Any], way: tuple[str, str]
) -> None:
    _is_cut(written, *way)

    person.runs(written, *RESTORE, DOCS, *way)

    where = DOCS if way[0] == "--in-place" else f"{BACK}{DOCS}"
    assert about(written, where) == letters_were
    assert "unfinished" not in does(written, "ls -A back .local/state/qubes-borg")


def test_what_was_cut_is_of_one_archive_whatever_was_backed_up_since(
    written: Lab, letters_were: dict[str, Any]
) -> None:
    begun = state.archives(written)[-1]
    _is_cut(written, *BESIDE)
    does(written, f"echo d > {BACK}{LETTER}; rm {LETTER}")
    person.runs(written, "qvm-borg-backup", "work")
    newest = state.archives(written)[-1]

    for other in ((DOCS, "--archive", newest), (LETTER,)):
        person.is_refused(written, *RESTORE, *other, *BESIDE, code=21,
                          says=f"{begun} was begun there")
    said = person.runs(written, *RESTORE, DOCS, *BESIDE)

    assert begun in said and newest != begun and about(written, f"{BACK}{DOCS}") == letters_were


def test_into_another_qube_the_latest_is_the_one_that_was_begun(
    written: Lab, letters_were: dict[str, Any]
) -> None:
    begun, again = state.archives(written)[-1], (*RESTORE, DOCS, "--to", OTHER)
    written.do("start", OTHER)
    bent.root_does(written, OTHER, _LINGERS)
    with written.popen("dom0", again, input=False) as tool:
        does(written, 'until [ -n "$(find restored -name letter)" ]; do sleep 0.2; done', OTHER)
        written.do("kill", OTHER)
        tool.communicate(None, 120)
    assert tool.returncode not in (0, None)
    person.runs(written, "qvm-borg-backup", "work")
    newest = state.archives(written)[-1]

    said = person.runs(written, *again)

    assert begun in said and newest != begun
    written.do("start", OTHER)
    assert about(written, f"/home/user/restored/{begun}{DOCS}", OTHER) == letters_were
    assert does(written, f"ls restored; ls -A restored/{begun}", OTHER) == f"{begun}\nhome\n"


def test_in_place_the_latest_is_not_the_half_of_it_that_was_backed_up_since(written: Lab) -> None:
    does(written, _MANY)
    person.runs(written, "qvm-borg-backup", "work")
    were, begun = does(written, _LOOKS), state.archives(written)[-1]
    does(written, f"rm -r {DOCS}/many; echo worse > {LETTER}")
    again = (*RESTORE, DOCS, "--in-place", "--yes")
    with written.popen("dom0", again, input=False) as tool:
        bent.root_does(written, "work", f"timeout 300 python3 -I -c '{_STOPS}'")
        came = int(does(written, f"ls {DOCS}/many 2>/dev/null | wc -l"))
        written.do("kill", "work")
        tool.communicate(None, 120)
    written.do("start", "work")
    assert tool.returncode not in (0, None) and came < 20000
    person.runs(written, "qvm-borg-backup", "work")
    newest = state.archives(written)[-1]

    said = person.runs(written, *again)

    assert begun in said and newest != begun and does(written, _LOOKS) == were
    assert newest in person.runs(written, *RESTORE, LETTER, "--in-place", "--yes")
