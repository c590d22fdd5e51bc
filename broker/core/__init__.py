"""What is true and what follows from it: values and decisions, with no framework, file or clock."""
