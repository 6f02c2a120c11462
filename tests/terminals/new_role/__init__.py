"""A city gets cinemas: an application, its roles and a partner of its own, one file each. The test
puts them in their places in a copy of the tree, and drives a card there with `drive.py`.
"""
