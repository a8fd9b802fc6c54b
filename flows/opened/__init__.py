"""What past runs have stored, for people: `spanmatch.open_root`. Reads alone, without Prefect."""
