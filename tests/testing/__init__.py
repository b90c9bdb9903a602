"""What tests of all folders share: a clock, a stand-in HTTP server, and waiting."""
