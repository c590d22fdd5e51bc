"""PINs of borrowers, mailed codes, and logins with the library account.

Read ``mailed_codes.py`` first: the one implementation of codes and PIN links. ``borrower_pins.py``
sets a PIN and mails the link to do so, ``library_login.py`` checks number and PIN,
``known_browsers.py`` remembers browsers, and ``mailbox_proofs.py`` proves a mail address.
"""
