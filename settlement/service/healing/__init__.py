"""What is derived and damaged, made again from the raw files.

Decides nothing here; read in this order::

    rebuilding.py  what is made again, from what, and how it is proven to be the same
    around.py      clearing and closing over what is whole
"""
