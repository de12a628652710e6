"""The command `ser`: one file a command, and what they share."""
