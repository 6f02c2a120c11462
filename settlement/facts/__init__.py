"""Records as columns: how they are read, kept and proven.

Read it in this order::

    columnar.py  how DuckDB writes the same bytes every time, and the words of SQL
    cells.py     the bytes at one place of all records, as numbers, days and moments
    faults.py    which part of a record is damaged
    ownership.py  whose card a row names, by issuer and number
    signed.py    what of a file was signed, as columns for the key service
    columns.py   records as columns, and as Parquet in buckets by card
    load_log.py  entries of a load host's log as columns
    takeover.py  opening balances as columns
    serials.py   which serials of which terminals a file holds: how a record is found
    proof.py     which answers of a key service are believed; one answer byte a record
"""
