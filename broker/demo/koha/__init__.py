"""A library system that answers as Koha does."""
