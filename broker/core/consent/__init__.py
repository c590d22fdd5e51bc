"""The disclosure to a service, and the consent that it needs.

Read ``disclosure.py`` first: exactly what is sent to a service. ``consent.py`` decides whether the
person must be asked, and makes the receipts.
"""
