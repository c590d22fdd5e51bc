"""``broker check``: what an administrator should correct, and what each service gets."""
