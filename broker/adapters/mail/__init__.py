"""Mail to borrowers, over SMTP."""
