"""What people start: the three deployed flows; in rooms of their own the study, the run, the command line."""
