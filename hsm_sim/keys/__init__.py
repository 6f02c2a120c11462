"""Where keys live and what may be done with them: the same rule for every provider.

Read it in this order::

    masters.py         where master keys live, seen from what is done with them
    vault.py           master keys in memory: names, states, check values; no key in any text
    published_keys.py  the rule that makes the public test keys, and how they are recognised
    strength.py        which bytes are good enough to be a key of a city
    seal_register.py   which days of which city are sealed: one seal a number, and durable
    operations.py      what may be done with a key: usage and state are enforced
    in_process.py      the key service in this process
"""
