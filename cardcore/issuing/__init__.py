"""From a product and an order to a card in somebody's hand, and what becomes of it later.

Read it in the order of one card's life::

    stock.py            a chip in stock: a number, keys of its own, nothing else
    products/           card products as data
    key_choices.py      which master keys new cards are made from: the newest that are active
    orders.py           product and order become the packages of one card, without any key in them
    personalisation.py  from stock to somebody's card over SCP03, step by step, cut off anywhere
    lifecycle.py        issued, lost, found, blocked, replaced, destroyed: a table, and who may
"""
