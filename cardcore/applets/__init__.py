"""The uses of the card, one file each: which files and keys it has. They never import each other;
the card operating system supplies the mechanics.

Each file offers `APPLICATIONS`, so a new application is one new file. What an application is stands
in `application.py`; all of them together in `catalogue.py`.
"""
