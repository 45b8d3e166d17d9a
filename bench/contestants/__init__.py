"""Who does the work, each in its own usual way: one command with the addresses, the package and the version."""
