"""A restore that was cut, and is run again: of one archive, and whole."""

from typing import Any

import pytest

from lab import Lab
from scenarios import bent, person, state
from scenarios.letters import BACK, BESIDE, DOCS, LETTER, RESTORE, about, does

# A borg that has extracted all, and does not end.
_LINGERS = """
mv /usr/bin/borg /usr/bin/borg.genuine
printf '%s\n' '#!/bin/sh' '/usr/bin/borg.genuine "$@"; s=$?' \
    'case "$*" in *extract*) sleep 300 ;; esac; exit $s' > /usr/bin/borg
chmod 755 /usr/bin/borg
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
