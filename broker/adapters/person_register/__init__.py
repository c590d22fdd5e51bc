"""The registers of persons that addresses come from."""
