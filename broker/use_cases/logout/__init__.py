"""Sessions at services, and single logout.

Read ``logout_flow.py`` first: it takes one logout from the LogoutRequest to the answer.
``sessions.py`` stores sessions. ``affected_sessions.py`` finds the sessions that a logout ends, and
the services and upstreams that it asks.
"""
