"""Load, decide, store: one verb a file, the order of its commit points in its docstring.

Read it in this order::

    registering.py  the registry is changed: one transaction each
    receive.py      a file comes in: raw bytes, facts, the row that makes it visible
    receive_load_log.py  the same for a file of the load host's log
    proven.py       kept bytes, proven by their hash before anything starts from them
    proving.py      what cards and PSAMs signed, under the keys that the city knows
    keeping.py      kept files proven again: whole, made whole, or set aside
    gathering.py    what is ready, and what a run of it is made of
    review.py       records that could not be judged when they came, and can be now
    computation.py  the order of a run's tasks and the layout of its folder
    runs.py         which bytes a run may start from, and how its result is kept
    ruling/         people propose, approve and decline, each with a secret of their own
    healing/        what is damaged and derived, made again from raw files
    clear.py        run a clearing: provisional, as often as one likes
    close.py        close a day: posted once, in one transaction, sealed
"""
