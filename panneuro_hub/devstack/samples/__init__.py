"""A collaboration with people, projects and recordings, to fill the servers with."""
