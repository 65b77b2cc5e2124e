"""Running borg and the bundle that a client gets: what maintenance and client both need.

Runs in both. Knows one repository at a time; must not know the admin key or other qubes.
"""
