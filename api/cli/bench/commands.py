"""`onecard bench`: the budgets, each figure beside its baseline from the same run.

Decides nothing; it gathers the measurements of `api.bench`.
"""

from api.bench import cards, replay, shapes, tac, tap
from api.cli.frame.loading import command, noun
from cardcore.text import Text

app = noun(Text("对照预算测量，按 CPU 秒计。", "Measure against the budgets, by CPU seconds."))
command(
    app,
    "tac",
    Text(
        "批量验证交易认证码：每套算法在一核与两核上每秒的笔数，旁为 `cryptography` 逐笔调用与 "
        "libcrypto 之上的 C 循环。",
        "TACs proven in bulk: records a second of each suite on one core and two, beside one call "
        "of `cryptography` a record and a loop in C over libcrypto.",
    ),
)(tac.tac)
command(
    app,
    "tap",
    Text(
        "一次脱机公交刷卡，流水落盘：在本进程内，旁为流水所需的 fsync；或经 pcscd，旁为同样多条"
        "指令的往返。",
        "One offline bus ride, journal on disk: in process beside the journal's bare fsync, or "
        "over pcscd beside bare round trips of as many APDUs.",
    ),
)(tap.tap)
command(
    app,
    "personalise",
    Text(
        "经安全通道在本进程内制卡，旁为其密码运算本身。",
        "Cards made over the secure channel in process, beside their cryptography alone.",
    ),
)(cards.personalise)
command(
    app,
    "replay",
    Text(
        "在整卡上回放真实刷卡数据，旁为以映像保存的单应用卡。",
        "Published taps on whole cards, beside slim cards kept as images.",
    ),
)(replay.replay)
command(
    app,
    "shapes",
    Text(
        "有意做得昂贵的清算日，在一种规模与其四倍上。",
        "Days made dear on purpose, at a size and at four times it.",
    ),
)(shapes.shapes)
