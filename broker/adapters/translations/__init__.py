"""The catalogues of what people read: English as the code has it, Danish in gettext's own files."""
