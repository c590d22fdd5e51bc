"""Personal data: what is stored about one person is found, exported and deleted.

Read ``stored_data.py`` first. ``given_consents.py`` lists a person's answers and withdraws
consents.
"""
