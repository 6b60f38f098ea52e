"""What every HTML page and figure shares: the template, its assets, one palette, formats of numbers."""
