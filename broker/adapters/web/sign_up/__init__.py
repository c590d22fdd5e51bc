"""The sign-up pages and their replaceable texts."""
