"""One file per kind of device: what it is for, as data for the session.

Read it in this order::

    bus.py    bus terminal 车载机
    gate.py   metro gate 闸机
    shop.py   shop terminal 商户终端
    kiosk.py  load kiosk 充值机 and its load host
"""
