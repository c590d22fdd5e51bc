"""Analysis of policy sets: sample logins are played through the engine of live logins."""
