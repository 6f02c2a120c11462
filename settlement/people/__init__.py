"""Who acts in the office: people, and the systems that act by themselves.

Read it in this order::

    actions.py  an actor, and an act: by whom, when, why
"""
