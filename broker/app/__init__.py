"""Joins the rooms: the WSGI application, the server, and the reports of a whole installation."""
