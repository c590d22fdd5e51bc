"""Parts that all pages share: step pages, forms, languages, refusals and cookies."""
