"""One login or sign-up under way, and the step that comes next in it."""
