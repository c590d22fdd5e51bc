"""What administrators write: settings, policy files, attribute maps; and how files are read and written safely."""
