"""Policy files, from their shape to the values of the engine; the folder is read by ``broker.files.policies.live_policies``."""
