"""`onecard bench`: the measurements of `api.bench` as commands.

Read it in this order::

    commands.py  gathers them
"""
