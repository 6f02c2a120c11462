"""What the office answers to a file, and what it keeps of one (pure).

Read it in this order::

    answers.py      the closed list of answers, the acknowledgement, a stored file
    bounds.py       what no run can hold, whoever signed it
    signed_file.py  whole, signed? The same for every kind of file
    decide.py       a batch file: new, in sequence? One answer in the order of precedence
    refusals.py     what was refused, and what a day's seal covers of it
    load_log.py     the same of a file of the load host's log
"""
