"""What the buckets found, reduced to shares and totals (pure).

Read it in this order::

    tally.py   what a bucket's task brings home: counts and sums of like records
    totals.py  tallies to shares that sum to the amount, totals, the output hash
"""
