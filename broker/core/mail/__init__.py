"""Mails (``mail_contents.py``) and the codes that are mailed (``mailed_codes.py``)."""
