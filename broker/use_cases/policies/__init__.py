"""The policies in force for all machines: the record, its sets, and the workers that follow."""
