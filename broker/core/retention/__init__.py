"""How long each record is kept: the rows, and the one table of them."""
