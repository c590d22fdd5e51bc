"""The person behind a login: the stored links from names and CPR numbers to person ids."""
