"""What a client does: accept its bundle, back up, restore, prove, say how it is.

Runs in each enrolled qube as its user. Knows its own key and passphrase; must not know other
repositories, the admin key or the vault.
"""
