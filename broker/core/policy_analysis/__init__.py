"""Analysis of policy sets: personas are played through the engine of live logins."""
