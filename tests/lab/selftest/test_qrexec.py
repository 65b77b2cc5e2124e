"""qrexec as its callers and services see it: who may, where, as whom, with what code."""

from __future__ import annotations

import pytest

from lab.selftest.calls import Calls

ECHO = "#!/bin/sh\nexec cat\n"
SHOW = """#!/bin/sh
env | grep -E "^(QREXEC_|HOME|USER)" | sort
echo "argc=$#"
for a; do echo "<$a>"; done
"""
OPEN = "* * * * allow\n"


def test_dom0_reaches_a_service(calls: Calls) -> None:
    """Input goes in, output and stderr come out, the exit code is the service's."""
    calls.service("work", "t.Say", "#!/bin/sh\ncat\necho problem >&2\nexit 7\n")

    done = calls.dom0("work", "t.Say+", data=b"\x00\xffhello")

    assert (done.returncode, done.stdout, done.stderr) == (7, b"\x00\xffhello", b"problem\n")
    assert "t.Say+-dom0: problem" in calls.log()


def test_qube_reaches_a_service_by_policy(calls: Calls) -> None:
    """The line admits this call and no other."""
    calls.service("work", "t.Say", ECHO)
    calls.policy("t.Say +a vault work allow\n")

    done = calls.qube("vault", "work", "t.Say+a", data=b"x" * 300000)
    assert (done.returncode, done.stdout) == (0, b"x" * 300000)
    for target, service in (("work", "t.Say+b"), ("work", "t.Say"), ("nobody", "t.Say+a")):
        refused = calls.qube("vault", target, service)
        assert (refused.returncode, refused.stderr) == (126, b"Request refused\n")
    assert calls.qube("sys-firewall", "work", "t.Say+a").returncode == 126


def test_a_new_file_of_policy_counts_a_moment_later(calls: Calls) -> None:
    """The genuine daemon hears of it late, so whoever opens a gate has to try again."""
    calls.service("work", "t.Say", ECHO)
    calls.qrexec.policy_delay = 3600
    calls.policy(OPEN)
    early = calls.qube("vault", "work", "t.Say")
    calls.qrexec.policy_delay = 0
    late = calls.qube("vault", "work", "t.Say")

    assert (early.returncode, late.returncode) == (126, 0)


def test_environment_and_arguments_in_a_qube(calls: Calls) -> None:
    """The variables are there, the argument is argv[1] if it is not empty."""
    calls.service("work", "t.Show", SHOW)
    calls.policy(OPEN)

    lines = calls.qube("vault", "work", "t.Show+a+b").stdout.decode().splitlines()
    assert lines == [
        "HOME=/",
        "QREXEC_AGENT_PID=1",
        "QREXEC_REMOTE_DOMAIN=vault",
        "QREXEC_REQUESTED_TARGET_TYPE=",
        "QREXEC_SERVICE_ARGUMENT=a+b",
        "QREXEC_SERVICE_FULL_NAME=t.Show+a+b",
        "USER=user",
        "argc=1",
        "<a+b>",
    ]
    for call in ("t.Show", "t.Show+"):
        text = calls.qube("vault", "work", call).stdout.decode()
        assert "argc=0" in text
        assert "QREXEC_SERVICE_FULL_NAME=t.Show+\n" in text


@pytest.mark.parametrize(
    ("target", "lines"),
    [
        ("dom0", ["QREXEC_REQUESTED_TARGET=dom0", "QREXEC_REQUESTED_TARGET_TYPE=name"]),
        (
            "@adminvm",
            ["QREXEC_REQUESTED_TARGET_KEYWORD=adminvm", "QREXEC_REQUESTED_TARGET_TYPE=keyword"],
        ),
    ],
)
def test_service_in_dom0(calls: Calls, target: str, lines: list[str]) -> None:
    """It is told how it was named; its stderr stays in dom0."""
    calls.service("dom0", "t.Show", SHOW + "echo secret >&2\nexit 3\n")
    calls.policy(OPEN)

    done = calls.qube("work", target, "t.Show+x")

    assert (done.returncode, done.stderr) == (3, b"")
    assert set(lines) <= set(done.stdout.decode().splitlines())
    assert "t.Show+x-work: secret" in calls.log()


@pytest.mark.parametrize(
    ("call", "seen"),
    [
        ("t.Show+a b/c@x:", "a_b_c_x_"),
        ("t.Show+\u00e4", "__"),
        ("t.Show+..", ".."),
        ("t.Show+-x", "-x"),
        ("t.Show+" + "n" * 3700, "n" * 3700),
    ],
)
def test_argument_of_a_qube_is_sanitised(calls: Calls, call: str, seen: str) -> None:
    """Every other byte becomes an underscore, before policy and service see it."""
    calls.service("work", "t.Show", SHOW)
    calls.policy(f"t.Show +{seen} vault work allow\n")

    assert f"<{seen}>" in calls.qube("vault", "work", call).stdout.decode().splitlines()


@pytest.mark.parametrize(
    ("body", "mode", "code"),
    [
        ("#!/bin/sh\nexit 255\n", 0o755, 255),
        ("#!/bin/sh\nkill -9 $$\n", 0o755, 137),
        ("#!/bin/sh\nkill -15 $$\n", 0o755, 143),
        ("#!/nonexistent\n", 0o755, 127),
        ("#!/bin/sh\n", 0o644, 125),
        ("", 0, 127),
    ],
    ids=["255", "killed", "terminated", "no interpreter", "not executable", "missing"],
)
def test_exit_codes_from_both_sides(calls: Calls, body: str, mode: int, code: int) -> None:
    """dom0 and a qube see the same code."""
    if mode:
        calls.service("work", "t.Exit", body, mode)
    calls.policy(OPEN)

    assert calls.dom0("work", "t.Exit+").returncode == code
    assert calls.qube("vault", "work", "t.Exit").returncode == code


@pytest.mark.parametrize("call", ["", "+x"])
def test_call_without_service_is_refused(calls: Calls, call: str) -> None:
    """126, whatever policy says."""
    calls.policy(OPEN)

    assert calls.qube("vault", "work", call).returncode == 126


def test_special_file_of_an_argument_comes_first(calls: Calls) -> None:
    """SERVICE+ARG is looked for in all directories before SERVICE."""
    calls.service("work", "t.Say+only", "#!/bin/sh\necho special\n")
    calls.service("work", "t.Say", "#!/bin/sh\necho local\n", folder="/usr/local/etc/qubes-rpc")

    assert calls.dom0("work", "t.Say+only").stdout == b"special\n"
    assert calls.dom0("work", "t.Say+other").stdout == b"local\n"


@pytest.mark.parametrize(
    ("config", "code", "user"),
    [
        ("force-user='root'\n", 0, "root"),
        ("# nothing\nunknown-key=1\n", 0, "user"),
        ('force-user="root"\n', 125, ""),
        (" force-user='root'\n", 125, ""),
        ("force-user='a'\nforce-user='b'\n", 125, ""),
        ("force-user='root' junk\n", 125, ""),
        ("[section]\n", 125, ""),
        ("wait-for-session=true\n", 125, ""),
        ("wait-for-session=0\n", 0, "user"),
        ("force-user='root'\nskip-service-descriptor=true\n", 125, ""),
    ],
)
def test_rpc_config(calls: Calls, config: str, code: int, user: str) -> None:
    """A file that cannot be followed ends the call; force-user is heeded."""
    calls.service("work", "t.Say", ECHO)
    calls.machines.put("work", "/etc/qubes/rpc-config/t.Say", config, 0o644)

    assert calls.dom0("work", "t.Say+").returncode == code
    assert calls.machines.users[-1:] == ([user] if user else [])


def test_user_of_command_policy_and_property(calls: Calls) -> None:
    """dom0 names it, or a rule does, or it is the qube's default."""
    calls.service("work", "t.Say", ECHO)
    calls.policy("t.Say +r * work allow user=root\nt.Say * * work allow\n")

    calls.dom0("work", "t.Say+", user="bob")
    calls.qube("vault", "work", "t.Say+r")
    calls.system.call("admin.vm.property.Set+default_user", "work", b"alice")
    calls.qube("vault", "work", "t.Say")
    calls.dom0("work", "t.Say+")

    assert calls.machines.users == ["bob", "root", "alice", "alice"]


def test_plain_command_of_dom0(calls: Calls) -> None:
    """It is for the user's shell."""
    done = calls.run_client("-d", "work", "root:echo $((6*7)); exit 4")

    assert (done.returncode, done.stdout) == (4, b"42\n")
    assert calls.machines.users == ["root"]


def test_allowed_call_starts_its_target(calls: Calls) -> None:
    """autostart is the default; without it a halted qube is refused."""
    calls.service("default-dvm", "t.Say", "#!/bin/sh\necho up\n")
    calls.policy("t.Say +n * * allow autostart=no\nt.Say * * * allow\n")

    assert calls.qube("work", "default-dvm", "t.Say+n").returncode == 126
    assert calls.qube("work", "default-dvm", "t.Say").stdout == b"up\n"
    assert calls.qube("work", "default-dvm", "t.Say+n").stdout == b"up\n"


def test_target_that_does_not_start_is_refused(calls: Calls) -> None:
    """126, like a call that policy denies."""
    calls.machines.broken.add("default-dvm")
    calls.policy(OPEN)

    assert calls.qube("work", "default-dvm", "t.Say").returncode == 126


@pytest.mark.parametrize("qube", ["default-dvm", "nobody", "dom0"])
def test_dom0_does_not_reach_what_does_not_run(calls: Calls, qube: str) -> None:
    """125: halted, unknown, or dom0 itself."""
    assert calls.dom0(qube, "t.Say+").returncode == 125


def test_disposable_lives_for_one_call(calls: Calls) -> None:
    """@dispvm is made, runs the service and is gone."""
    calls.policy("t.Say * * @dispvm allow\n")

    assert calls.qube("work", "@dispvm", "t.Say").returncode == 127
    steps = ["create", "boot", "kill", "remove"]
    calls.wait_for(
        lambda: [step for step, name in calls.machines.steps if name.startswith("disp")] == steps
    )
