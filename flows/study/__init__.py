"""What is asked for: a study, its file, what it refers to by name, and what it compares."""
