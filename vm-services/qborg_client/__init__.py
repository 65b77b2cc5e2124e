"""What a client does: accept its bundle, back up, restore, prove, say how it is.

Runs in each enrolled qube as its user, and for a restore in one that gets another's files. Knows
its own key and passphrase, by dom0's order one record of another repository while files come of
it, and of the vault where its own record goes. Must not know the admin key.
"""
