"""The audit log: a hash chain of lines whose personal part can be erased without breaking it."""
