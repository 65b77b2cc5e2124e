"""What of a qube is kept when it stops, and what its template has to do with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab

BIND = "/rw/config/qubes-bind-dirs.d/50_user.conf"


@pytest.fixture(scope="module", name="lab")
def fixture_lab() -> Iterator[Lab]:
    """Bring up the world without the product."""
    with Lab.up("bare") as lab:
        yield lab


def _sh(lab: Lab, qube: str, script: str, user: str = "root") -> str:
    done = lab.exec(qube, ["/bin/sh", "-ec", script], user=user, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def _restart(lab: Lab, qube: str) -> None:
    lab.do("shutdown", qube)
    lab.do("start", qube)


@pytest.mark.parametrize("stop", ["shutdown", "kill"])
def test_an_appvm_keeps_its_private_volume_only(lab: Lab, stop: str) -> None:
    kept = ("/home/user/k", "/usr/local/k", "/rw/config/k", "/var/spool/cron/k")
    lost = ("/etc/k", "/root/k", "/tmp/k", "/var/k", "/run/k")
    _sh(lab, "work", "touch " + " ".join((*kept, *lost)))

    lab.do(stop, "work")
    lab.do("start", "work")

    found = _sh(lab, "work", "ls " + " ".join((*kept, *lost)) + " 2>/dev/null || true")
    assert set(found.split()) == set(kept)


def test_a_bind_dir_of_the_user_is_copied_once_and_kept(lab: Lab) -> None:
    _sh(lab, "work", f"mkdir -p {BIND.rpartition('/')[0]}; echo \"binds+=( '/etc/x' )\" > {BIND}")
    _restart(lab, "work")
    assert _sh(lab, "work", "ls /etc/x || echo none") == "none"

    _sh(lab, "work", "mkdir -p /rw/bind-dirs/etc; echo mine > /rw/bind-dirs/etc/x")
    _restart(lab, "work")

    assert _sh(lab, "work", "cat /etc/x") == "mine"
    _sh(lab, "work", f"rm {BIND}")


def test_rc_local_runs_at_boot(lab: Lab) -> None:
    _sh(lab, "work", "echo 'touch /run/by-rc-local' >> /rw/config/rc.local")

    _restart(lab, "work")

    waiting = "for i in $(seq 200); do [ -e /run/by-rc-local ] && exit; sleep 0.02; done; exit 1"
    _sh(lab, "work", waiting)


def test_cron_runs_only_with_its_service_and_keeps_the_crontab(lab: Lab) -> None:
    _sh(lab, "work", "! pgrep -x cron", "user")
    _sh(lab, "work", "echo '1 2 3 4 5 true' | crontab -", "user")
    qube = "__import__('qubesadmin').Qubes().domains['work']"
    command = f"{qube}.features['service.crond'] = True"
    assert lab.run(["python3", "-c", command], timeout=60).returncode == 0
    assert _sh(lab, "work", "ls /run/qubes-service") == ""

    _restart(lab, "work")

    assert _sh(lab, "work", "pgrep -x cron; crontab -l", "user").endswith("1 2 3 4 5 true")


def test_a_template_change_reaches_a_qube_at_its_next_start(lab: Lab) -> None:
    lab.do("start", "debian-13")
    change = "echo new > /etc/from-template; touch /home/user/own; rm /etc/skel/.profile"
    _sh(lab, "debian-13", change)
    lab.do("shutdown", "debian-13")
    assert _sh(lab, "work", "cat /etc/from-template || true") == ""

    _restart(lab, "work")

    assert _sh(lab, "work", "cat /etc/from-template") == "new"
    assert _sh(lab, "work", "ls /home/user/own /etc/skel/.profile 2>/dev/null || true") == ""
    lab.do("start", "debian-13")
    assert _sh(lab, "debian-13", "cat /etc/from-template; ls /home/user") == "new\nown"
    lab.do("shutdown", "debian-13")


def test_a_standalone_keeps_its_root_and_a_disposable_nothing(tmp_path: Path) -> None:
    world = tmp_path / "world.toml"
    world.write_text(
        '[templates.debian-13]\n'
        'install=["mkdir $ROOT/etc/qubes-rpc; install -m 755 /bin/true $ROOT/etc/qubes-rpc/t.S"]\n'
        '[qubes.solo]\nclass="StandaloneVM"\nlabel="blue"\ntemplate="debian-13"\n'
        '[qubes.dvm]\nclass="AppVM"\nlabel="red"\ntemplate="debian-13"\n'
        'template_for_dispvms=true\n'
        '[qubes.disp]\nclass="DispVM"\nlabel="red"\ntemplate="dvm"\n'
    )
    with Lab.up(world) as lab:
        for name in ("solo", "dvm"):
            lab.do("start", name)
            _sh(lab, name, "touch /etc/mine /home/user/mine")
            lab.do("shutdown", name)
        for name in ("solo", "disp"):
            lab.do("start", name)

        vm = "__import__('qubesadmin').Qubes().domains['solo']"
        command = f"print({vm}.features.check_with_template('supported-rpc.t.S'))"
        done = lab.run(["python3", "-c", command])
        assert done.stdout == b"1\n", done.stderr
        assert _sh(lab, "solo", "ls /etc/qubes-rpc") == "qubes.PostInstall\nt.S"
        look = "ls /etc/mine /home/user/mine /home/user/used 2>/dev/null || true"
        assert _sh(lab, "solo", look).split() == ["/etc/mine", "/home/user/mine"]
        assert _sh(lab, "disp", look).split() == ["/home/user/mine"]
        _sh(lab, "disp", "touch /home/user/used")
        lab.do("start", "dvm")
        assert _sh(lab, "dvm", look).split() == ["/home/user/mine"]


def _offers(lab: Lab) -> list[str]:
    command = "import qubesadmin; print(*qubesadmin.Qubes().domains['debian-13'].features)"
    return lab.run(["python3", "-c", command], timeout=60).stdout.decode().split()


def test_a_template_reports_what_was_installed_when_it_is_told_to(lab: Lab) -> None:
    script = "/etc/qubes/post-install.d/90-mine.sh"
    lab.do("start", "debian-13")
    _sh(lab, "debian-13", f"""
        mkdir -p /etc/qubes-rpc /etc/qubes/post-install.d
        touch /etc/qubes-rpc/my.Data
        install -m 755 /bin/true /etc/qubes-rpc/my.Service+x
        printf '#!/bin/sh\\nqvm-features-request supported-service.mine=1\\nexit 5\\n' > {script}
        chmod +x {script}""")  # fmt: skip
    lab.do("shutdown", "debian-13")
    assert "supported-rpc.my.Service" not in _offers(lab)

    lab.do("start", "debian-13")
    # As in the original, its exit code is that of the last script.
    _sh(lab, "debian-13", "code=0; /etc/qubes-rpc/qubes.PostInstall || code=$?; [ $code = 5 ]")
    lab.do("shutdown", "debian-13")
    names = _offers(lab)

    wanted = {"supported-rpc.my.Service", "supported-service.mine", "supported-service.crond"}
    assert wanted <= set(names)
    assert "supported-rpc.my.Data" not in names


def test_custom_persist_keeps_what_dom0_names(lab: Lab) -> None:
    lab.clone("vault", "odd")
    script = """
import qubesadmin
features = qubesadmin.Qubes().domains["odd"].features
features["service.custom-persist"] = True
features["custom-persist.d"] = "/var/kept"
"""
    assert lab.run(["python3", "-c", script], timeout=60).returncode == 0
    lab.do("start", "odd")
    _sh(lab, "odd", "mkdir -p /rw/bind-dirs/var/kept; touch /home/user/x /rw/y")
    _restart(lab, "odd")
    assert _sh(lab, "odd", "qubesdb-read /persist/d") == "/var/kept"
    _sh(lab, "odd", "touch /var/kept/z")
    _restart(lab, "odd")

    assert _sh(lab, "odd", "ls /home/user/x /rw/y /var/kept/z 2>&- || true") == "/rw/y\n/var/kept/z"
    lab.do("shutdown", "odd")


def test_a_program_in_a_qube_has_no_descriptor_of_the_host(lab: Lab) -> None:
    for qube in ("work", "dom0", "server"):
        assert _sh(lab, qube, "ls /proc/$$/fd").split() == ["0", "1", "2"], qube


def test_a_user_cannot_touch_what_the_host_gives(lab: Lab) -> None:
    done = lab.exec("work", ["touch", "/run/lab/x"], user="root", timeout=60)

    assert done.returncode != 0
    assert lab.exec("work", ["test", "-S", "/run/lab/qrexec.sock"]).returncode == 0


@pytest.mark.parametrize(
    ("argv", "user", "code"),
    [
        pytest.param(["/nonexistent"], "user", 127, id="missing"),
        pytest.param(["/etc/passwd"], "user", 126, id="not executable"),
        pytest.param(["true"], "nobody-here", 125, id="unknown user"),
        pytest.param(["sh", "-c", "exit 7"], "user", 7, id="own code"),
        pytest.param(["sh", "-c", "kill -TERM $$"], "user", 143, id="signal"),
    ],
)
def test_exit_codes(lab: Lab, argv: list[str], user: str, code: int) -> None:
    assert lab.exec("work", argv, user=user, timeout=60).returncode == code


def test_input_and_output_are_passed_whole(lab: Lab) -> None:
    data = bytes(range(256)) * 4096

    done = lab.exec("work", ["cat"], input=data, timeout=60)

    assert done.stdout == data


def test_a_qube_is_off_before_its_volumes_are_put_away(lab: Lab) -> None:
    script = """
import qubesadmin, time
vm = qubesadmin.Qubes().domains["work"]
vm.start()
kept = vm.volumes["private"].revisions
vm.shutdown()
print(vm.get_power_state())
while vm.get_power_state() != "Halted":
    time.sleep(0.005)
print(vm.volumes["private"].revisions == kept)
vm.start()
print(vm.volumes["private"].revisions == kept, vm.get_power_state())
"""
    done = lab.run(["/usr/bin/python3", "-c", script], timeout=60)

    assert done.stdout.decode().split() == ["Running", "True", "False", "Running"], done.stderr
