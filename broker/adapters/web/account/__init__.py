"""The pages of a borrower's own account: a new PIN, and the choices made."""
