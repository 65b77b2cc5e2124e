"""The backup server: a real sshd and borg behind the restricted shell."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from lab.owner import remove_state

SSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes zh1234@backup.example"
BORG = "BORG_PASSPHRASE=x BORG_REMOTE_PATH=borg14 borg"
REPOSITORY = "ssh://zh1234@backup.example/./repos/a"


@pytest.fixture(scope="module", name="lab")
def fixture_lab() -> Iterator[Lab]:
    """Bring up the world without the product; `work` may log in."""
    with Lab.up("bare") as lab:
        line = f"backup.example {lab.server.host_key()}\n".encode()
        make = "umask 077; mkdir -p .ssh; cat > .ssh/known_hosts; ssh-keygen -q -t ed25519 -N '' -f"
        lab.exec("work", ["sh", "-ec", f"{make} .ssh/id_ed25519"], input=line, check=True)
        key = lab.exec("work", ["cat", ".ssh/id_ed25519.pub"], check=True).stdout
        lab.server.exec(["tee", "/home/zh1234/.ssh/authorized_keys"], input=key, check=True)
        yield lab


def _work(lab: Lab, script: str) -> subprocess.CompletedProcess[bytes]:
    return lab.exec("work", ["sh", "-c", script], timeout=120)


def test_the_account_starts_with_an_empty_key_file_and_no_repositories() -> None:
    with Lab.up("bare") as lab:
        found = lab.server.exec(["find", "/home/zh1234", "-printf", "%P %m %u %s\n"]).stdout
    lines = sorted(line.split() for line in found.decode().splitlines())
    names = [line[0] for line in lines if not line[0].isdigit()]
    assert names == [".ssh", ".ssh/authorized_keys"]
    assert [".ssh/authorized_keys", "600", "zh1234", "0"] in lines


@pytest.mark.parametrize(
    ("command", "code"),
    [("ls -la", 0), ("borg14 --version", 0), ("borg12 --version", 0), ("borg --version", 126),
     ("bash -c id", 126), ("'ls; id'", 126), ("'ls > x'", 126)],
)  # fmt: skip
def test_one_plain_command_per_login(lab: Lab, command: str, code: int) -> None:
    assert _work(lab, f"{SSH} {command}").returncode == code


def test_a_killed_sshd_takes_its_sessions_along_and_starts_again(lab: Lab) -> None:
    with lab.popen("work", ["sh", "-c", f"{SSH} cat"]) as session:
        assert session.stdin is not None and session.stdout is not None
        session.stdin.write(b"connected\n")
        session.stdin.flush()
        assert session.stdout.readline() == b"connected\n"
        lab.faults.add(where="qubesd", match="admin.vm.List+", action="kill-sshd")
        look = "import qubesadmin; list(qubesadmin.Qubes().domains)"
        lab.run(["python3", "-c", look], check=True)

        assert session.wait() == 255
    assert _work(lab, f"{SSH} ls").returncode == 255
    lab.server.start_sshd()
    assert _work(lab, f"{SSH} ls").returncode == 0


def test_a_forced_command_holds_a_client_to_its_repository(lab: Lab) -> None:
    _work(lab, f"{SSH} mkdir repos")
    forced = "borg14 serve --append-only --restrict-to-repository repos/a"
    line = f's|^|command="{forced}",restrict |'
    keys = "/home/zh1234/.ssh/authorized_keys"
    lab.server.exec(["cp", keys, "/root/keys"], check=True)
    lab.server.exec(["sed", "-i", line, keys], check=True)
    try:
        both = f"{BORG} init -e repokey {REPOSITORY} && {BORG} create {REPOSITORY}::1 .ssh"
        made = _work(lab, both)
        other = _work(lab, f"{BORG} init -e repokey ssh://zh1234@backup.example/./repos/b")
    finally:
        lab.server.exec(["cp", "/root/keys", keys], check=True)

    assert made.returncode == 0, made.stderr.decode()
    assert other.returncode == 2


def test_a_full_server_says_so_and_recovers(lab: Lab) -> None:
    lab.server.fill()
    assert b"No space left" in _work(lab, f"echo x | {SSH} dd of=x").stderr

    lab.server.unfill()

    assert _work(lab, f"echo x | {SSH} dd of=x").returncode == 0


def test_without_sshd_a_login_is_refused(lab: Lab) -> None:
    lab.server.stop_sshd()
    refused = _work(lab, f"{SSH} ls")
    lab.server.start_sshd()

    assert refused.returncode == 255
    assert b"Connection refused" in refused.stderr
    assert _work(lab, f"{SSH} ls").returncode == 0


def test_only_the_offered_names_are_borg(lab: Lab) -> None:
    lab.server.offer("borg2")
    codes = [_work(lab, f"{SSH} {name} --version").returncode for name in ("borg14", "borg2")]
    lab.server.offer("borg14", "borg12")

    assert codes == [126, 0]


def test_a_dropped_session_ends_the_client(lab: Lab) -> None:
    with lab.popen("work", ["sh", "-c", f"{SSH} dd of=y; echo $?"]) as process:
        process.stdin.write(b"x")
        while not lab.server.exec(["pgrep", "-u", "zh1234"]).stdout:
            pass
        lab.server.drop_sessions()
        assert process.stdout.readline() == b"255\n"


@pytest.mark.parametrize("place", [None, "/dev/shm"], ids=["on-disk", "in-memory"])
def test_a_home_of_a_given_size_fills_up_and_is_kept(tmp_path: Path, place: str | None) -> None:
    world, state = tmp_path / "world.toml", Path(tempfile.mkdtemp(dir=place)) / "state"
    world.write_text("[server]\nquota_mb = 4\n[templates.debian-13]\n", encoding="ascii")
    with Lab.up(world, state=state) as lab:
        home = "/home/zh1234"
        lab.server.exec(["dd", "if=/dev/zero", f"of={home}/fits", "bs=1M", "count=3"], check=True)
        more = ["dd", "if=/dev/zero", f"of={home}/more", "bs=1M", "count=3"]
        assert b"No space left" in lab.server.exec(more, user="zh1234").stderr
        lab.snapshot("full")
        lab.server.exec(["rm", f"{home}/fits", f"{home}/more"], check=True)
        lab.restore("full")
        assert lab.server.exec(["stat", "-c", "%s", f"{home}/fits"]).stdout == b"3145728\n"
        lab.down()
    with Lab.up(world, state=state) as lab:
        assert lab.server.exec(["stat", "-c", "%s", f"{home}/fits"]).stdout == b"3145728\n"
        lab.down()
    remove_state(state)
    state.parent.rmdir()
