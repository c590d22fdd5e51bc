"""The pure heart: what a login is, what policies say of it, what comes next; no framework, no files, no clock."""
