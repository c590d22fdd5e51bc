"""The Flask adapter: endpoints that add one fact each, and the pages that show a step."""
