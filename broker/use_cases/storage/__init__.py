"""Records in the store, the queue of mails, limits, and the loop of the worker."""
