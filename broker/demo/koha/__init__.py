"""A simulated Koha: REST API for patrons, SIP2 for machines, and Koha's known oddities."""
