"""What a person reads of the client's commands."""

import errno
import re
from pathlib import Path

import pytest

from qborg_client.tools import hints, run
from qborg_service.failure import ServiceFailure
from qborg_wire.causes import CAUSES
from qvm_borg import telling

DOM0_TOOLS = Path(__file__).parents[3] / "dom0" / "qvm_borg" / "tools"


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_every_cause_is_one_error_and_one_hint(
    cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hints.tell(ServiceFailure(cause, "what\nhappened \x1b[31m")) == 1

    lines = capsys.readouterr().err.split("\n")
    assert [line.partition(":")[0] for line in lines] == ["error", "hint", ""]
    assert "\x1b" not in lines[0]


@pytest.mark.parametrize(
    ("error", "says"),
    [(OSError(errno.ENOSPC, "full"), "error: no-space: full\n"),
     (OSError(errno.EACCES, "denied", "/a\x1b"), "error: internal: /a_: denied\n")],
    ids=["full", "denied"],
)  # fmt: skip
def test_what_the_system_refuses_is_one_error_too(
    error: OSError, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hints.tell_system(error) == 1

    assert capsys.readouterr().err.startswith(says + "hint: ")


def test_no_hint_names_a_command_that_there_is_not_yet(capsys: pytest.CaptureFixture[str]) -> None:
    for cause in CAUSES:
        hints.tell(ServiceFailure(cause, "x"))

    named = set(re.findall("qvm-borg-[a-z]+", capsys.readouterr().err))
    assert named <= {f"qvm-borg-{path.stem}" for path in DOM0_TOOLS.glob("[a-z]*.py")}


@pytest.mark.parametrize(
    ("cause", "says"),
    [("quota-exceeded", "qvm-borg-enroll QUBE --quota SIZE"), ("server-full", "buy space")],
    ids=["quota", "server"],
)  # fmt: skip
def test_what_is_full_is_mended_by_what_frees_space(
    cause: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hints.tell(ServiceFailure(cause, "x"))

    hint = capsys.readouterr().err.splitlines()[1]
    assert says in hint and hint.endswith("to prune here frees nothing")


def test_its_help_names_the_files_that_are_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["--help"])

    said = "".join(capsys.readouterr().out.split())
    assert "~/.config/qubes-borg/patterns" in said and "~/.config/qubes-borg/settings" in said


WRONG = (["--sched"], ["now"], ["--scheduled=1"], ["--scheduled", "--preview"],
         ["--scheduled", "--json"], ["--scheduled", "-v"], ["-v", "-q"])  # fmt: skip


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_a_wrong_argument_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main(arguments)

    assert ended.value.code == 2


def test_a_changed_key_is_put_back_from_dom0(capsys: pytest.CaptureFixture[str]) -> None:
    hints.tell(ServiceFailure("wrong-passphrase", "x"))

    in_the_qube = capsys.readouterr().err
    assert "qvm-borg-recover --repair-key QUBE" in in_the_qube
    for cause in ("wrong-passphrase", "keys-differ"):
        told = telling.from_failure("work", cause).hint
        assert "qvm-borg-recover --repair-key work" in told
