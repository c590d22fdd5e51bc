"""The library system behind a circuit breaker, and the check of its set-up.

Read ``guarded_library.py`` first: every call of the library system goes through it.
"""
