"""The patron table of the simulated Koha, with the rules that its database and settings enforce."""
