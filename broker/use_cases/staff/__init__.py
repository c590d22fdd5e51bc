"""The staff view: the logins of staff, who of them is logged in, and what they look up."""
