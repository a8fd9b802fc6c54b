"""What the mathematics costs, against the published algorithms and the machine's limits."""
