"""The dom0 side: the plan, power states, roles and the gate.

Runs in dom0 as its ordinary user. It never sees a passphrase or a private key, and takes from
qubes nothing but the small replies that qborg_wire describes.
"""
