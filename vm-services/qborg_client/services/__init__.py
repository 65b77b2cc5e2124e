"""The qrexec services of a client, one module each: what the stubs in qubes-rpc/client run.

Thin: a handler takes the checked call, asks the module that does the work, answers text.
"""
