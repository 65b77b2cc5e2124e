"""One module for each service of a vault; the stubs in qubes-rpc/ run its main()."""
