"""Records as columns: how they are read, kept and proven.

Read it in this order::

    columnar.py  how DuckDB writes the same bytes every time, and the words of SQL
    columns.py   records as columns, and as Parquet in buckets by card
    serials.py   which serials of which terminals a file holds: how a record is found
    proof.py     which answers of a key service are believed; one answer byte a record
"""
