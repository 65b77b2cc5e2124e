"""The worker's side: a disposable without network that works on one repository, once.

It gets one recovery record from the vault, the repository from the maintenance qube, and is
destroyed when its job is done.
"""
