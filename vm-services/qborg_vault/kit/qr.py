"""QR codes, drawn by qrencode. The text is a secret: it goes in on stdin, the picture comes out."""

from qborg_service import process
from qborg_service.failure import ServiceFailure

_PROGRAM = "/usr/bin/qrencode"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
_LIMIT = 1 << 20  # bytes of one picture


def svg(text: str) -> str:
    """Answer the code as an SVG element; raises ServiceFailure without qrencode or for a long text.

    Level L, since paper that is torn has the typed rows: the fewest dots are read best.
    """
    argv = [_PROGRAM, "--type=SVG", "--inline", "--svg-path", "--8bit", "--level=L", "--output=-"]
    try:
        finished = process.run(argv, stdin=text.encode("ascii"), env=_ENVIRONMENT, timeout=30,
                               limit=_LIMIT)  # fmt: skip
    except process.ProgramMissing as error:
        raise ServiceFailure("program-missing", str(error)) from error
    except process.ProcessError as error:
        raise ServiceFailure("internal", str(error)) from error
    if finished.code != 0:
        raise ServiceFailure("internal", "qrencode cannot draw a code")
    # A second code in the same document must not have the first one's name.
    return finished.stdout.decode("ascii").replace(' id="QRcode"', "")
