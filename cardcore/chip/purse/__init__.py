"""The electronic purse: what may follow what, and what it costs, as decisions over values.

Read it in this order::

    offline.py  its state; purchase, composite purchase, cash, proof
    online.py   load, unload and the overdraft limit: what a host takes part in
"""
