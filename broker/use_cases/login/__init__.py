"""Logins, from the AuthnRequest of a service to the assertion that is issued.

Read ``login.py`` first: each method of ``LoginFlow`` adds one fact to the stored transaction, and
``core/login/next_step.py`` decides what comes next. ``arrivals.py`` and ``arrival_matching.py``
bind the answer of an upstream to a browser, ``person_at_login.py`` looks the person up,
``consent_answers.py`` stores answers, and ``issuance.py`` records the assertion before it is sent.
"""
