"""PINs of borrowers: chosen, mailed links, and logins with the library account."""
