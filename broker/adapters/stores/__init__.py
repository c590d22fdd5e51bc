"""Where transactions, receipts, enrolments and links are kept: one port, two stores, one seal around them."""
