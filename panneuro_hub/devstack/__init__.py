"""Real servers on this machine, and programs to use them: for the demo, tests and benchmarks."""
