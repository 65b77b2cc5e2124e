"""Answers of qubesd, and objects whose attributes are its properties. Runs in dom0."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from qubesadmin import exc

if TYPE_CHECKING:
    from qubesadmin.app import QubesBase

DEFAULT = object()
_UNREADABLE = (exc.QubesDaemonAccessError, exc.QubesVMNotFoundError)


def parse_response(answer: bytes) -> bytes:
    """Return the data of an answer, or raise the exception that it carries."""
    if not answer:
        raise exc.QubesDaemonAccessError(
            "qubesd did not answer; its log in dom0 may say why"
        )
    if answer.startswith(b"0\0"):
        return answer[2:]
    if not answer.startswith(b"2\0"):
        raise exc.QubesDaemonCommunicationError("qubesd answered something else than an answer")
    _, kind, _, message, rest = answer.split(b"\0", 4)
    name = kind.decode("ascii")
    found = getattr(exc, name, None)
    if found is None:
        found = getattr(builtins, name, None) if name.endswith("Error") else None
    words = [word.decode() for word in rest.split(b"\0")[:-1]]
    raise (found or exc.QubesException)(message.decode("utf-8"), *words)


class PropertyHolder:
    """An object whose unknown attributes are read and written through qubesd."""

    app: QubesBase
    _prefix: str = ""
    _method_dest: str = ""

    def __init__(self, app: QubesBase, method_prefix: str, method_dest: str) -> None:
        """Take the application, the prefix of the calls, and whom they are about."""
        self.app = app
        self._prefix = method_prefix
        self._method_dest = method_dest

    def clear_cache(self) -> None:
        """Do nothing: property values are not cached here."""

    def qubesd_call(
        self,
        dest: str | None,
        method: str,
        arg: str | None = None,
        payload: bytes | None = None,
        payload_stream: Any = None,
    ) -> bytes:
        """Make one call; without `dest`, about this object."""
        target = self._method_dest if dest is None else dest
        return self.app.qubesd_call(target, method, arg, payload, payload_stream)

    def property_list(self) -> list[str]:
        """Return the names of the properties."""
        return self.qubesd_call(None, self._prefix + "List").decode("ascii").splitlines()

    def property_help(self, name: str) -> str:
        """Return the description of a property."""
        return self.qubesd_call(None, self._prefix + "Help", name).decode("ascii")

    def property_is_default(self, item: str) -> bool:
        """Tell whether a property has its default value."""
        return self._read(item).startswith(b"default=True ")

    def property_get_default(self, item: str) -> Any:
        """Return the default value of a property; raise AttributeError if it has none."""
        try:
            answer = self.qubesd_call(None, self._prefix + "GetDefault", item)
        except _UNREADABLE as error:
            raise exc.QubesPropertyAccessError(item) from error
        if not answer:
            raise AttributeError(f"property {item} is not set by default")
        return self._value(item, answer)

    def _read(self, item: str) -> bytes:
        if item.startswith("_"):
            raise AttributeError(item)
        try:
            return self.qubesd_call(None, self._prefix + "Get", item)
        except _UNREADABLE as error:
            raise exc.QubesPropertyAccessError(item) from error

    def _value(self, item: str, typed: bytes) -> Any:
        kind, _, raw = typed.partition(b" ")
        text = raw.decode()
        if kind == b"type=str":
            return text
        if text == "" and kind in (b"type=bool", b"type=int"):
            raise AttributeError(item)
        if kind == b"type=bool":
            return text == "True"
        if kind == b"type=int":
            return int(text)
        if kind in (b"type=vm", b"type=label"):
            known: Any = self.app.domains if kind == b"type=vm" else self.app.labels
            return known.get_blind(text) if text else None
        raise exc.QubesDaemonCommunicationError(f"qubesd sent a value of an unknown type, {kind!r}")

    def __getattr__(self, item: str) -> Any:
        """Read a property."""
        return self._value(item, self._read(item).partition(b" ")[2])

    def _is_local(self, name: str) -> bool:
        known = (*type(self).__mro__,)
        return name.startswith("_") or any(
            name in vars(cls) or name in vars(cls).get("__annotations__", {}) for cls in known
        )

    def __setattr__(self, key: str, value: Any) -> None:
        """Write a property, or an attribute that the object itself has."""
        if self._is_local(key):
            super().__setattr__(key, value)
        elif value is DEFAULT:
            delattr(self, key)
        else:
            self._write("Set", key, ("" if value is None else str(value)).encode())

    def __delattr__(self, name: str) -> None:
        """Return a property to its default."""
        if self._is_local(name):
            super().__delattr__(name)
        else:
            self._write("Reset", name, None)

    def _write(self, call: str, name: str, payload: bytes | None) -> None:
        try:
            self.qubesd_call(None, self._prefix + call, name, payload)
        except _UNREADABLE as error:
            raise exc.QubesPropertyAccessError(name) from error
