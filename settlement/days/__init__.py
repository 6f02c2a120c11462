"""The settlement day (清算日), pure.

Read it in this order::

    opening.py  which day is open and which files belong to it, and why none is
    aside.py    which files a run goes on without
    load_log.py  up to where it reads the logs of load hosts
    rulings.py  which rulings a day applies, and what they say of records
    run.py      what a run is made of, what is stored of it, what it reports
    closing.py  what a closed day is, and everything that closing stores
    begun.py    a close that was begun, kept until the day is
"""
