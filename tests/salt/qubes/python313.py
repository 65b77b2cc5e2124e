"""What Salt 3007 lacks for Python 3.13 and the packages of Qubes patch: salt.utils.url.create.

There urlunparse() no longer writes `file:///top.sls` (github.com/saltstack/salt, issue 66898).
"""


def create(path: str, saltenv: str | None = None) -> str:
    """Answer the salt:// address of a path."""
    return f"salt://{path}" + (f"?saltenv={saltenv}" if saltenv else "")
