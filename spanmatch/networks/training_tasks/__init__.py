"""What networks are trained for, one task a file, and the registry of them."""
