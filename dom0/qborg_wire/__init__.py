"""The contract between dom0 and the qubes: names, services, framing.

It lies under dom0/ because the most trusted side owns it; every qube gets a copy. Pure: bytes and
text in, frozen values out. Standard library only, no processes, no clock, no files but the data
that lie beside its modules.
"""
