"""A qube's manifest in its own repository: handed over, proved, read back, made a qube of again."""

import json
from typing import Any

import pytest

from lab import Lab
from scenarios import attacker, attempts, bent, lost, person, state

CLIENT, FILE = "work", "/home/user/.local/state/qubes-borg/manifest"
RULES = b"action=accept dst4=198.51.100.10/32\naction=accept specialtarget=dns\n"
_GIVES = f"""
vm = app.domains["work"]
vm.memory, vm.include_in_backups = 500, False
vm.features["service.cups"], vm.features["internal"] = "", "1"
vm.tags.add("bank")
vm.qubesd_call(None, "admin.vm.firewall.Set", None, {RULES!r})
"""
_PRODUCT = """
import json, sys
sys.path.insert(0, "/usr/lib/qubes-borg")
from qborg_wire.names import parse_repository
from qborg_wire.row import Role
from qvm_borg import manifest, record, report, session, vault, worker
from qvm_borg.qubes import System
here = session.Session(System(), report.Report())
"""
# What a command does that makes a qube again. DIGESTS: what dom0 knows beside the record's.
_READS = """
keeper, maintenance = vault.required(here.system), here.maintenance
repository = parse_repository("qubes-work")
with here.running(maintenance, keeper):
    known = {**vault.describe(here, keeper, repository), **DIGESTS}
    print(json.dumps(here.wait(worker.reading_manifest(
        here, keeper, repository, "latest", known))))
"""
_MAKES = """
made, told = manifest.make(here.system, "again", manifest.parse(json.loads(sys.stdin.read())))
manifest.done(here.system, "again")
print(json.dumps([manifest.of(made), told]))
"""


def _product(lab: Lab, script: str, text: str = "") -> Any:
    done = lab.run(["python3", "-c", _PRODUCT + script], input=text.encode(), timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _reads(lab: Lab, **digests: str) -> str:
    return str(_product(lab, _READS.replace("DIGESTS", repr(digests)))["manifest"])


def test_a_qube_is_made_again_of_what_its_repository_keeps(escrowed: Lab) -> None:
    bent.in_dom0(escrowed, _GIVES)
    person.runs(escrowed, "qvm-borg-backup", CLIENT)
    digest = state.noted(escrowed)["digests"]["manifest"]
    person.runs(escrowed, "qvm-borg-check", CLIENT)
    mode = escrowed.exec(CLIENT, ["stat", "-c", "%a", FILE], check=True).stdout
    before = state.qubesd(escrowed)[CLIENT]

    # A run of the schedule keeps it; then the qube is gone.
    escrowed.exec(CLIENT, ["qborg-run"], check=True)
    lost.removes(escrowed, CLIENT)
    text = _reads(escrowed, manifest=digest)
    again, told = _product(escrowed, _MAKES, json.dumps(text))

    assert mode == b"600\n"
    assert set(text.split("\n")) - set(again.split("\n")) == {"tag bank", "feature internal=1"}
    assert sorted(told) == [
        "left to you, as a policy may know it: `qvm-tags again add bank`",
        "left to you: `qvm-features again internal 1`"]
    after = state.qubesd(escrowed)["again"]
    differ = {key for key in before if before[key] != after[key]}
    assert differ == {"uuid", "power", "features", "tags"}
    assert "x-qborg-client" not in state.qubesd(escrowed)["dom0"]["features"]
    assert not [key for key in after["features"] if "qborg" in key]


def test_an_archive_without_one_says_so(escrowed: Lab) -> None:
    escrowed.exec(CLIENT, ["rm", FILE], check=True)
    escrowed.exec(CLIENT, ["qborg-run"], check=True)

    assert _reads(escrowed) == "none"
    # The archive that dom0 saw made has its own still.
    person.runs(escrowed, "qvm-borg-check", CLIENT)


# What a client writes there itself, for whoever makes it again, and how much of it is told where
# no digest is known. dom0 takes a text that is none for bent, and makes the qube without it.
_OTHER = "class AppVM\nlabel black\ntemplate bare\nproperty netvm="
EVIL = {
    "escape sequences": (attacker.ESC.encode(), ""),
    "no ASCII": ("class AppVM\nlabel r\u00f6t".encode(), ""),
    "nothing": (b"", ""),
    "more than fits": (b"a" * 40000, ""),
    "a link to its own files": (None, ""),
    "another template and netvm": (_OTHER.encode(), _OTHER),
}
TRIES = attempts.named("write another manifest into its archives",
                       "not answered where dom0 knows the archive's; else a person sees it and "
                       "chooses", EVIL)


@pytest.mark.parametrize(("written", "told"), EVIL.values(), ids=EVIL)
def test_what_a_client_writes_instead_is_not_taken(
    escrowed: Lab, written: bytes | None, told: str
) -> None:
    digest = state.noted(escrowed)["digests"]["manifest"]
    if written is None:
        escrowed.exec(CLIENT, ["ln", "-sf", "/home/user/.bashrc", FILE], check=True)
    else:
        escrowed.exec(CLIENT, ["dd", f"of={FILE}"], input=written, check=True)
    escrowed.exec(CLIENT, ["qborg-run"], check=True)

    script = _PRODUCT + _READS.replace("DIGESTS", repr({"manifest": digest}))
    done = escrowed.run(["python3", "-c", script], timeout=900)

    assert done.returncode == 1 and b"is not what was saved" in done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    assert _reads(escrowed) == told
