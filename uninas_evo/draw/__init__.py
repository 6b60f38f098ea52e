"""Drawings of networks: parts, their layout, and writers of SVG, PNG and HTML."""
