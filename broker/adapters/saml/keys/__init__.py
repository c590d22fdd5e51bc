"""Our own signing and decryption keys, and their rotation."""
