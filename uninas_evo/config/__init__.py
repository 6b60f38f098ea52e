"""Run files: their schema, what is found by name, and the reference of every field."""
