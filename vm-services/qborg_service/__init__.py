"""The frame of every service in a qube: who calls, what comes in, what goes out.

Standard library and qborg_wire only. It knows the services table and nothing of backups.
"""
