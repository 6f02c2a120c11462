"""The commands of people who rule: each acts with a secret of their own.

Read it in this order::

    acting.py     who acts, their secret, and what is said when nothing was changed
    people.py     `onecard people`
    approvals.py  `onecard approvals`
    audit.py      `onecard audit`
"""
