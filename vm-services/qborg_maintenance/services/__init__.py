"""One module for each service that dom0 calls here; the stubs in qubes-rpc/ run its main()."""
