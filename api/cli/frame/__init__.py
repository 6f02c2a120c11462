"""What stands around every command.

Read it in this order::

    loading.py   how commands are loaded
    help.py      how they are explained, in one language
    mistakes.py  what is wrong with a command line, in a sentence
    program.py   what commands there are
    stopping.py  Ctrl-C, heard once and remembered
    faults.py    what ends a command early, in a sentence
    secrets.py   secrets, typed without echo or from a file
    session.py   opening what a command works on
    pages.py     a page of a list
"""
