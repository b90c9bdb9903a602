"""The demo: a whole hub on this machine, with real parts and real recordings."""
