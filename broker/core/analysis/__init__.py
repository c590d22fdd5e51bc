"""The proof of policies: a finite set of classes that stands for all logins, and their outcomes."""
