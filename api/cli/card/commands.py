"""`onecard card`: cards on a reader, a virtual card, published dumps.

Decides nothing; it gathers the commands. No command here needs a key but `serve`, and none prints a
key or a PIN.
"""

from api.cli.card import apdus, listing, reading, serving
from api.cli.frame.loading import command, noun
from cardcore.text import Text

app = noun(Text("读卡器上的卡。", "Cards on a reader."))
command(app, "list", Text("读卡器，以及其上的卡。", "Readers, and what is on them."))(
    listing.list_readers
)
command(
    app,
    "info",
    Text(
        "卡上的各个应用：卡号、余额、交易明细、乘车记录，以及卡公开的持卡人信息。",
        "Every application of a card in words: number, balance, log, trips, what it says freely of "
        "its holder.",
    ),
)(reading.info)
command(
    app,
    "read",
    Text(
        "读一个文件（十六进制与字段），或整个应用。",
        "One file of a card in hexadecimal and in words, or a whole application in words.",
    ),
)(reading.read)
command(
    app,
    "apdu",
    Text("原样发送指令，并说明卡的应答。", "Send APDUs as they are and say what the card answers."),
)(apdus.apdu)
command(
    app,
    "trace",
    Text(
        "逐条说明读卡或脚本中的指令。",
        "Every APDU of a reading of the card, or of a script, in words.",
    ),
)(apdus.trace)
command(
    app,
    "parse",
    Text(
        "解析已公布的卡片数据：卡号、有效期、余额、交易明细、乘车记录。",
        "What published dumps say: number, validity, balance, log, trips.",
    ),
)(reading.parse)
command(
    app,
    "serve",
    Text(
        "把一张已个人化的卡放入虚拟读卡器，直至 Ctrl-C。",
        "Put a personalised card into a virtual reader until Ctrl-C.",
    ),
)(serving.serve)
