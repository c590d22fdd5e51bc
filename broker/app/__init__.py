"""The WSGI application, the server that runs it, and the reports of a whole installation."""
