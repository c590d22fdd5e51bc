"""Settings, policy files and attribute maps, and how files are read and written safely."""
