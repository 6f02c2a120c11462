"""What is kept, looked at as it lies there: the folder, raw files, the database's own schema.

Decides nothing here; read in this order::

    raw_files.py  a kept file of any kind, proven again
    openings.py   files of opening balances, and what each closed day opened by them
    folder.py     whether a row stands behind every file
    schema.py     tables, indices and triggers of the database
    refusals.py   whether a refusal was taken out of the audit
"""
