"""The back office: files in, every record judged, every fen posted, every day sealed.

Decisions are pure and stand in the middle, SQL at one edge (`store`), processes at another
(`engine`). Read it in the order of one batch file::

    city.py          one city's folder: its paths, its settings, its database
    errors.py        faults of the back office, by what is broken
    registry.py      who takes part, who may send files, which terminals exist (pure)
    service.py       load, decide, store: receive a file, run a clearing, close a day
    intake.py        what to answer to a file (pure)
    proof.py         a column of TACs out of a file's records; which answers are believed
    facts.py         the file's records as columns, by card bucket; columnar.py: DuckDB's settings
    window.py        which day is open, what a run is made of, what closing stores (pure)
    review.py        records that could not be judged when they came, and can be now
    runs.py          a run between the city's folder and the reconciliation
    dispositions.py  what may become of a record, and why
    reconciliation/  one disposition a record, one priced gap a hole; sql/: the scripts it runs
    engine/          where the bucket tasks run; the output bytes are the same everywhere
    clear.py         bucket summaries reduced to shares and totals
    ledger.py        double entry and net positions (pure)
    seal.py          canonical bytes and hash chains (pure)
    store/           the only place with SQL
    verification/    everything again, from the raw bytes; what was found, in words
    explain.py       one record's whole story; stories.py: its wording (pure)
"""
