"""What the buckets found, reduced to sums and totals (pure).

Read it in this order::

    proof.py   what stands behind the float, and what is wrong with a proof
    openings.py  what cards taken over were opened with, and what moves by it
    tally.py   what a bucket's task brings home: counts and sums of like records
    totals.py  tallies to both sides of the money, totals, the output hash
"""
