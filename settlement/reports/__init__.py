"""What people and programs ask of a city. Reads only, and answers with frozen values.

Read it in this order::

    history.py    where one record came from and where its money went
    places.py     where it stands: the files that hold it, its row in each
    chain.py      what its card did just before and just after
    told.py       what is told of a record, as values
    wording.py    how the steps of that history read, in Chinese and English (pure)
    registry.py   rows of the registry on a day, and every change of one
    statement.py  settled days added up
    float_proof.py  how strong the float is, checked against its purses and the ledger
    days.py       closed days, their positions, the balances they left
    files.py      batch files, and how far each has come
    loads.py      loads that were allowed, recorded and stated, matched
    ruling/       people, proposals and the audit log
    load_records.py  what records say of loads, in closed days and open files
"""
