"""What a policy file says, from its shape to the values of the engine; the reader of the folder is broker.policies."""
