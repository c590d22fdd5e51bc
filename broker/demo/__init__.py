"""The demo: a real broker, surrounded by simulated systems and invented people.

Start with ``command.py`` (``broker demo``), then ``run/running_demo.py``, which starts everything.
``upstreams`` are the identity providers, ``library`` the services, ``koha`` the library system,
``register`` the register of persons. ``check`` walks every persona through the broker.
"""
