"""The commands that a person or cron runs in a client."""
