"""The study: its file, what it refers to by name, and what it compares."""
