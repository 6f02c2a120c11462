"""The only place with SQL: tables, migrations, and one function for each thing a decision loads
or saves. Nothing here decides; what may follow from the rows stands in the pure rooms::

    database.py  opens the database, makes a new one, begins transactions
    upgrade.py   brings one of before up to date
    tables.py    the schema, in the vocabulary of the glossary
    migrations/  from one schema to the next, in `versions`, by number
    newest.sql   what they all come to in a new file
    registry.py  participants, senders, terminals, names, hotlist
    readiness.py  which batch files are ready
    files.py     batch files received, and what was answered
    load_logs.py  files of the load host's log, and the loads they list
    rulings.py   the audit log: what people did, proposed and ruled
    applied.py   which rulings closed days have applied
    people.py    secrets that were wrong
    days.py      runs, closed days, the ledger and what hangs on it
"""
