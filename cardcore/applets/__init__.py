"""The uses of the card, one file each: which files and keys it has. They never import each other;
the card operating system supplies the mechanics.
"""
