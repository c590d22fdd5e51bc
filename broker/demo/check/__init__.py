"""Every persona of the demo, walked through a running broker over HTTP."""
