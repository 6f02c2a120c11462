"""The three-way match of loads (圈存三方核对): allowed by the load host, recorded by the kiosk,
stated by the card (pure).

Read it in this order::

    standings.py  how a load stands, what that means, what to do
    decide.py     the loads of one purse, matched
    billing.py    which of them a run bills by the log alone, and which wait
    ages.py       what does not match, by agent and age
"""
