"""Exceptions, by the names that qubesd sends. Runs in dom0; knows no call."""

from __future__ import annotations


class QubesException(Exception):
    """Something to show to a person. The message is a format for the arguments."""

    def __init__(self, message_format: str, *args: str, **kwargs: object) -> None:
        """Format the message; arguments of digits only become numbers."""
        values = tuple(int(value) if value.isdigit() else value for value in args)
        super().__init__(message_format % values, **kwargs)


class _Lookup(QubesException, KeyError):
    """An exception that is a KeyError too, without KeyError's quoted text."""

    def __str__(self) -> str:
        """Return the message as it is."""
        return QubesException.__str__(self)


class QubesVMNotFoundError(_Lookup):
    """There is no such qube."""


class QubesVMInvalidUUIDError(QubesException):
    """This is not a uuid."""


class QubesVMError(QubesException):
    """A qube is in the wrong state."""


class QubesVMInUseError(QubesVMError):
    """The qube is still needed."""


class QubesVMNotStartedError(QubesVMError):
    """The qube is off."""


class QubesVMNotRunningError(QubesVMNotStartedError):
    """The qube is off or paused."""


class QubesVMNotPausedError(QubesVMNotStartedError):
    """The qube is not paused."""


class QubesVMNotSuspendedError(QubesVMError):
    """The qube is not suspended."""


class QubesVMNotHaltedError(QubesVMError):
    """The qube is not off."""


class QubesVMShutdownTimeoutError(QubesVMError):
    """The qube did not go down in time."""


class QubesNoTemplateError(QubesVMError):
    """The qube has no template to start from."""


class QubesPoolInUseError(QubesException):
    """The pool is still needed."""


class QubesValueError(QubesException, ValueError):
    """The value is not acceptable."""


class QubesPropertyValueError(QubesValueError):
    """The value is not acceptable for this property."""


class QubesNoSuchPropertyError(QubesException, AttributeError):
    """There is no such property."""


class QubesNotImplementedError(QubesException, NotImplementedError):
    """The system cannot do this."""


class BackupCancelledError(QubesException):
    """A backup was cancelled."""


class BackupAlreadyRunningError(QubesException):
    """The same backup is running."""


class QubesMemoryError(QubesVMError, MemoryError):
    """There is not enough memory to start the qube."""


class QubesFeatureNotFoundError(_Lookup):
    """The feature is not set."""


class QubesTagNotFoundError(_Lookup):
    """The tag is not set."""


class QubesLabelNotFoundError(_Lookup):
    """There is no such label."""


class ProtocolError(AssertionError):
    """The data received are wrong."""


class PermissionDenied(Exception):  # noqa: N818 - the genuine name
    """Somebody decided not to cooperate."""


class DeviceNotAssigned(QubesException, KeyError):
    """The device is not assigned."""


class DeviceAlreadyAttached(QubesException, KeyError):
    """The device is attached."""


class DeviceAlreadyAssigned(QubesException, KeyError):
    """The device is assigned."""


class UnrecognizedDevice(QubesException, ValueError):
    """The device is not the expected one."""


class UnexpectedDeviceProperty(QubesException, ValueError):
    """The device has an unexpected property."""


class StoragePoolException(QubesException):
    """Something about storage."""


class QubesDaemonCommunicationError(QubesException):
    """qubesd cannot be talked to, or not like this."""


class BackupRestoreError(QubesException):
    """A backup cannot be restored."""

    def __init__(self, msg: str, backup_log: object = None) -> None:
        """Keep the log of the attempt."""
        super().__init__(msg)
        self.backup_log = backup_log


class QubesDaemonAccessError(QubesDaemonCommunicationError):
    """qubesd gave no answer: not permitted, or a fault on its side."""


class QubesPropertyAccessError(QubesDaemonAccessError, AttributeError):
    """A property cannot be read or written."""

    def __init__(self, prop: str) -> None:
        """Name the property."""
        super().__init__(f"property {prop} cannot be read or written")


class QubesNotesError(QubesException):
    """Something about the notes of a qube."""


QubesDaemonNoResponseError = QubesDaemonAccessError
