"""The pages of the staff view, of logins that are their own."""
