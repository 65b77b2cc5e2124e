"""The commands that a person runs in the vault."""
