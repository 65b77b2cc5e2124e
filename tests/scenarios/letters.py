"""Letters of a qube that are backed up, and what a restore must keep of them."""

import json
from typing import Any

from lab import Lab

RESTORE = ("qvm-borg-restore", "work")
DOCS, LETTER, BACK = "/home/user/docs", "/home/user/docs/letter", "/home/user/back"
BESIDE = ("--to-directory", BACK)
# Files with what a restore must keep: mode, times, attributes, links; and a name for a terminal.
WRITES = r"""
mkdir -p docs/deep; echo dear > docs/letter; ln docs/letter docs/again; ln -s letter docs/link
echo x > "docs/deep/$(printf 'b\033[2J\377')"
python3 -c "import os
os.setxattr('docs/letter', 'user.kind', b'letter'); os.setxattr('docs/deep', 'user.kind', b'deep')"
chmod 640 docs/letter; chmod 2710 docs/deep; touch -h -d 2020-01-02T03:04:05 docs/link
touch -d 2020-01-02T03:04:05 docs/letter docs/deep docs
"""
_ABOUT = """
import json, os, sys
found = {}
for where, directories, files in os.walk(sys.argv[1]):
    for path in [where, *(os.path.join(where, name) for name in directories + files)]:
        about = os.lstat(path)
        found[os.path.relpath(path, sys.argv[1])] = [
            oct(about.st_mode), about.st_uid, about.st_gid, about.st_mtime_ns, about.st_nlink
            * (not os.path.isdir(path)), {key: os.getxattr(path, key, follow_symlinks=False).hex()
            for key in os.listxattr(path, follow_symlinks=False)}]
print(json.dumps(found))
"""


def about(lab: Lab, folder: str = DOCS, qube: str = "work") -> dict[str, Any]:
    """Answer mode, owner, time, links and attributes of all below a directory."""
    found = lab.exec(qube, ["python3", "-I", "-c", _ABOUT, folder], user="root", check=True)
    answer: dict[str, Any] = json.loads(found.stdout)
    return answer


def does(lab: Lab, script: str, qube: str = "work") -> str:
    """Answer what a script of the user prints that must succeed."""
    return lab.exec(qube, ["sh", "-euc", script], check=True).stdout.decode()
