#!/usr/bin/python3 -I
"""A service's far end as a real process: it does what its one argument, a JSON list, says.

["read"] takes the whole request, ["keep", FILE] puts it into a file, ["write", TEXT] answers with
@NONCE@ replaced, ["drip", TEXT, N, SECONDS] writes slowly, ["flood", TEXT] writes for ever,
["noise", N] fills stderr with N bytes, ["sleep", S], ["close"] ends stdout, ["exit", CODE].
"""

import json
import os
import sys
import time

Actions = list[list[object]]


def nonce_of(request: bytes) -> str:
    """Answer the nonce of a request, zeros if there is none."""
    try:
        return str(json.loads(request)["nonce"])
    except (ValueError, KeyError):
        return "0" * 32


def write(text: str) -> None:
    """Write bytes given as Latin-1 text; a reader that went away ends the process."""
    data = text.encode("latin-1")
    while data:
        data = data[os.write(1, data):]


def act(actions: Actions) -> int:
    """Do each action in turn; answers the exit code."""
    request, nonce = b"", "0" * 32
    for name, *rest in actions:
        if name == "read":
            request = sys.stdin.buffer.read()
            nonce = nonce_of(request)
        elif name == "keep":
            with open(str(rest[0]), "wb") as file:
                file.write(request)
        elif name == "write":
            write(str(rest[0]).replace("@NONCE@", nonce))
        elif name == "drip":
            for _time in range(int(str(rest[1]))):
                write(str(rest[0]))
                time.sleep(float(str(rest[2])))
        elif name == "flood":
            while True:
                write(str(rest[0]))
        elif name == "noise":
            os.write(2, b"\x1b[2Jnoise " * (int(str(rest[0])) // 10))
        elif name == "sleep":
            time.sleep(float(str(rest[0])))
        elif name == "close":
            os.close(1)
        elif name == "exit":
            return int(str(rest[0]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(act(json.loads(sys.argv[1])))
    except BrokenPipeError:
        os._exit(141)
