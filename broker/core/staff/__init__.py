"""Staff of the library: their roles, and the sentences that help them."""
