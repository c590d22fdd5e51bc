"""What borrowers do at the library, whichever system keeps them: loans, and machines over SIP2."""
