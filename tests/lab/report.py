"""What a template reports about itself when its qubes.PostInstall is run, and only then.

As in the original, dpkg runs it after an installation that touches /etc/qubes-rpc or
/etc/qubes/post-install.d (debian/qubes-core-agent.triggers of qubes-core-agent-linux); whoever puts
files there by hand has to run it. The program runs in the template, the rest in the supervisor,
which reads the report as the template stops: later than the original, which sends it at once.
"""

from __future__ import annotations

PROGRAM = "/etc/qubes-rpc/qubes.PostInstall"
READ = "cat /run/qubes-report 2>/dev/null || true"
# One line for each thing offered. Scripts in post-install.d call qvm-features-request, which in
# a lab's VM writes its arguments to the file named here.
POST_INSTALL = r"""#!/bin/sh
# Stand-in for the service of qubes-core-agent.
exec 3>/run/qubes-report.new || exit 1
find -L /etc/qubes-rpc -maxdepth 1 -type f -perm /111 -printf '%f\n' | sed 's/+.*//' |
  sort -u | sed 's/^/supported-rpc./; s/$/=1/' >&3
[ -e /etc/systemd/system/multi-user.target.wants/cron.service ] &&
  echo supported-service.crond=1 >&3
requests=/run/qubes-features-requests
: > $requests
for script in /etc/qubes/post-install.d/*.sh; do
  [ ! -x "$script" ] || "$script" >&2
done
code=$?  # as in the original, that of the last script
cat $requests >&3
mv /run/qubes-report.new /run/qubes-report
exit $code
"""

REQUEST_PROGRAM = """#!/bin/sh
# Stand-in for qvm-features-request: keeps what was asked for until the report is read.
for word in "$@"; do
  case $word in
    --commit) ;;
    [a-z]*=*) printf '%s\\n' "$word" >> /run/qubes-features-requests || exit 1 ;;
    *) echo "qvm-features-request: unknown argument: $word" >&2; exit 2 ;;
  esac
done
"""


def parse_report(output: bytes) -> tuple[list[str], list[str]]:
    """Return the names of the services (rpc, then systemd) that are offered."""
    names: dict[str, list[str]] = {"supported-rpc.": [], "supported-service.": []}
    for line in output.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition("=")
        for prefix, found in names.items():
            if key.startswith(prefix) and value == "1":
                found.append(key.removeprefix(prefix))
    return names["supported-rpc."], names["supported-service."]
