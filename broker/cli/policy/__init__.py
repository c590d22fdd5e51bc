"""The commands of "broker policy"."""
