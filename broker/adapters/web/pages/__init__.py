"""What every page is made of: the page of a step, forms, languages, refusals, security headers."""
