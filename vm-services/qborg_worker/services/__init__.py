"""One module for each service of a worker; the stubs in qubes-rpc/ run its main()."""
