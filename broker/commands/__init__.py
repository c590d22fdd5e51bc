"""The groups of the command line, one file a noun."""
