"""What several roles need: running borg, the bundle that a client gets, the recovery records.

Runs in the maintenance qube, clients and workers, and what is of records in the vault too. Knows
one repository at a time; the admin key is here only as a value of the account's record.
"""
