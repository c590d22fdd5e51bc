"""Events: what the audit log, the application log and the metrics record.

Read ``broker_events.py`` first: its table says where each kind of event goes. ``audit_events.py``
has the events of the audit log, ``message_log.py`` the stored messages of upstreams.
"""
