"""What a vault does: keep the recovery records, say what it keeps, send one where dom0 orders it.

Runs in a qube without network as its user. Knows every secret of the suite; must not know a
server, and answers nobody who asks for a record.
"""
