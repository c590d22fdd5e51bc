"""Six short stories for a visitor of the demo, and the timeline beside them."""
