"""Release trains: what is asked for, what begins next, and what a person does to one that is under way."""
