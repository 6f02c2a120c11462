"""From a product and an order to a card in somebody's hand, and what becomes of it later.

Read it in the order of one card's life::

    stock.py            a blank chip in stock: a number, keys of its own, nothing else
    products/           card products as data
    key_choices.py      which master keys new cards are made from: the newest that are active
    orders.py           packages of a product, and what one card writes over them, without any key
    dialogue.py         the frame of every dialogue: a channel, steps, how it ends
    checking.py         everything is read back and compared
    initialisation.py   what is the same on every card of a product is there on delivery
    personalisation.py  from stock to somebody's card over SCP03, step by step, cut off anywhere
    lifecycle.py        issued, lost, found, blocked, replaced, destroyed: a table, and who may
"""
