"""The report for the data protection officer: as a page, as files of their own, as CSV."""
