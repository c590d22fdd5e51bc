"""Staff of the library (``staff_rules.py``), and sentences that help them."""
