"""One movement of a purse: a table, what is said in each of its states, and the shell around both.

All but the shell is pure. Read it in this order::

    flow.py       the states of a tap and what may follow what
    session.py    one tap as a state machine: what is said in each state, without doing it
    actions.py    what it can ask its caller to do
    commands.py   the bytes said to card and PSAM, and the answers taken apart
    decisions.py  may this card pass; what became of a torn tap; what is written
    terminal.py   the shell: carries a session between card, PSAM, load host and journal
"""
