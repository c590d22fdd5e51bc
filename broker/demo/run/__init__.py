"""The demo as it runs: its folder, its servers, its mailbox."""
