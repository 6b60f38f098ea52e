"""Scorers: each gives a genome named values, and sees it as if it were alone."""
