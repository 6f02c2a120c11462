"""The commands of people who rule, each with a secret of their own, and what there is to rule on.

Read it in this order::

    acting.py     who acts, their secret, and what is said when nothing was changed
    people.py     `onecard people`
    approvals.py  `onecard approvals`
    audit.py      `onecard audit`
    open_items.py  `onecard records`, `claims` and the other lists of what stands open
    open_lines.py  how such a list and one item of it read
"""
