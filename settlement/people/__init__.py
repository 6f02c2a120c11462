"""Who acts in the office: people, and the systems that act by themselves (pure).

Read it in this order::

    actions.py  who does what, when and why: what stands with every act of the office
"""
