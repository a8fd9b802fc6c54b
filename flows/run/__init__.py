"""A run: the plan of its units, their execution, its page in the Prefect UI, and its results."""
