"""Paths that the library uses, read when they are needed. Runs in dom0."""

from __future__ import annotations

QUBESD_SOCKET = "/var/run/qubesd.sock"
QREXEC_CLIENT = "/usr/lib/qubes/qrexec-client"
QREXEC_CLIENT_VM = "/usr/bin/qrexec-client-vm"
QREXEC_SERVICES_DIR = "/etc/qubes-rpc"
QUBESD_RECONNECT_DELAY = 1.0
defaults: dict[str, object] = {"template_label": "black", "shutdown_timeout": 60}
