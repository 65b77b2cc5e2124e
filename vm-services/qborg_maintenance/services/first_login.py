"""FirstLogin: have the server accept the admin key, by the account's password, typed here.

Runs in the maintenance qube. The password comes from a window, or from a person who runs
`qborg-admin login` in a terminal of this qube while this waits.
"""

import time

from qborg_maintenance import ask, first_login, setup, waiting
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State, own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role

_PATIENCE = 270.0  # seconds; the row's time less what a slow login takes


def handle(call: Call) -> dict[str, str]:
    """Answer whether the key was installed now; `no`: the server accepted it already."""
    wanted = Settings(
        machine=call.text("machine"), machine_id=call.text("machine_id"),
        host=call.text("host"), port=call.text("port"), account=call.text("account"),
        host_key="", remote_borg=call.text("remote_borg"),
    )
    state = own_state()
    waiting.forget()
    settings = setup.prepare_login(state, wanted, call.text("host_key"))
    installed = not first_login.accepted(state, settings) and _install(state, settings)
    waiting.tell(None)
    return {"installed": "yes" if installed else "no"}


def _install(state: State, settings: Settings) -> bool:
    """Have the key installed by the person at the window, or at a terminal beside it."""
    end = time.monotonic() + _PATIENCE
    password = ask.window(f"qubes-borg: the password of {settings.account} at {settings.host}",
                          _PATIENCE, waiting.is_told)  # fmt: skip
    if password is None:
        waiting.until_told(end - time.monotonic())
        return True
    return first_login.install(state, settings, password, lambda: None)


main = service("FirstLogin", Role.MAINTENANCE, handle)
