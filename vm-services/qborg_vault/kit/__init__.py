"""The printed kit: all that opens the backups again, for paper. Imports nothing of the store."""
