"""A city gets swimming pools: an application, its roles, a partner and a sector, one file each. The
test beside this folder puts them in their places in a copy of the tree, and `drive.py` drives a
card there from its first APDU to the sealed day.
"""
