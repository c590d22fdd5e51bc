"""Try described logins, explain refusals and word both for administrators."""
