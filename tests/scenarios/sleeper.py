"""A backup that takes a while: enough files, a slow line, and a borg in a hurry to checkpoint.

The product asks borg for a checkpoint each 300 seconds; here borg hears of one.
"""

import json
import time
from typing import Any

from lab import Lab
from lab.running import RunningProcess
from scenarios import bent

LAST = "/home/user/.local/state/qubes-borg/last.json"
SETTINGS = "/home/user/.config/qubes-borg/settings"
MANY = 12_000_000  # bytes
SCHEDULED = ("qborg-run", "--scheduled")
_FILES = """mkdir -p ~/files
for i in $(seq 60); do head -c 200000 /dev/urandom > ~/files/$i; done
echo upload_limit_kib = 1024 >> ~/.config/qubes-borg/settings
"""
_BORG = """mv /usr/bin/borg /usr/bin/borg.real
cat > /usr/bin/borg <<'END'
#!/bin/sh
n=$#
while [ $n -gt 0 ]; do
    set -- "$@" "$1"
    if [ "$1" = --checkpoint-interval ]; then set -- "$@" 1; shift; n=$((n-1)); fi
    shift; n=$((n-1))
done
exec /usr/bin/borg.real "$@"
END
chmod 755 /usr/bin/borg
"""


def begins(lab: Lab) -> RunningProcess:
    """Have work begin a slow backup that is due; answers once some of it is safe on the server."""
    bent.root_does(lab, "work", _BORG)
    lab.exec("work", ["sh", "-euc", _FILES], check=True)
    is_due(lab)
    before, deadline = _commits(lab), time.monotonic() + 600
    running = lab.popen("work", SCHEDULED, input=False)
    while _commits(lab) < before + 3:
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.3)
    return running


def _commits(lab: Lab) -> int:
    count = ["sh", "-c", "wc -l < ~zh1234/repos/qubes-work/transactions"]
    return int(lab.server.exec(count, check=True).stdout)


def is_due(lab: Lab) -> None:
    """Have the last success lie hours ago, as in a qube that was off."""
    text = json.dumps({"success": int(time.time()) - 100 * 3600, "outcome": "ok"})
    lab.exec("work", ["dd", "status=none", f"of={LAST}"], input=text.encode(), check=True)


def last(lab: Lab) -> dict[str, Any]:
    """Answer the record of work's last run."""
    found: dict[str, Any] = json.loads(lab.exec("work", ["cat", LAST], check=True).stdout)
    return found


def goes_on(lab: Lab) -> None:
    """Have the next hour's run finish what was cut, without sending it all again."""
    lab.exec("work", ["sed", "-i", "/^upload_limit_kib = 1024/d", SETTINGS], check=True)
    done = lab.exec("work", SCHEDULED)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    made = last(lab)
    assert made["outcome"] == "ok" and made["files"] >= 60
    assert made["sent"] < 0.95 * MANY, made
