"""The back office: files in, every record judged, every fen posted, every day sealed.

Decisions are pure and stand in the middle, SQL at one edge (`store`), processes at another
(`engine`). Imports run down: reports and verification, service, store and reconciliation, facts,
the pure rooms, the files of this folder. Read it in the order of one batch file::

    errors.py        faults of the back office, by what is broken
    counters.py      where a counter of 16 bits stands in the life of its card (pure)
    seal.py          canonical bytes and hash chains (pure)
    day_seals.py     the signed seal of a closed day, in JSON and in writing (pure)
    durable.py       files that are whole or not there
    watching.py      how whoever waits is told, and where a kill may come
    people/          who acts, when and why, in which role, by which key (pure)
    rulings/         what one person proposes and another approves; the audit log (pure)
    registry/        who takes part, who may send files, which terminals and keys exist, when (pure)
    dispositions.py  what may become of a record, and why (pure)
    city.py          one city's folder: its paths, its settings, its database
    intake/          what to answer to a file (pure)
    facts/           the file's records as columns, by card bucket, and every TAC proven
    days/            which day is open, what a run is made of, what closing stores (pure)
    reconciliation/  one disposition a record, one priced gap a hole
    sectors/         one rule a sector: explains fares, shares payments out (pure)
    clearing/        what the buckets found, reduced to sums and totals (pure)
    ledger/          accounts, what a decision moves, double entry, net positions (pure)
    engine/          where the bucket tasks run; the output bytes are the same everywhere
    loads/           what was allowed, recorded and stated of loads, matched (pure)
    service/         load, decide, store: receive a file, run a clearing, close a day
    store/           the only place with SQL
    verification/    everything again, from the raw bytes; what was found, in words
    reports/         what people ask: one record's whole history, days added up
"""
