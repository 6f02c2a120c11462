"""What can be wrong between a program and a card reader, and what to do about it.

Decides the closed list of problems and the sentence a person reads for each, Chinese and English.
Leaves which code of PC/SC means which of them to `terminals.link.pcsc`.
"""

from enum import Enum

from cardcore.text import Text
from terminals.errors import TerminalError


class ReaderProblem(Enum):
    """One problem: what it is and what to do."""

    DRIVER_MISSING = Text(
        (
            "未安装 PC/SC 支持：先 `sudo apt install gcc python3-dev libpcsclite-dev pkg-config "
            "pcscd`，再安装附加组件 `onecard[pcsc]`"
        ),
        (
            "PC/SC support is not installed: `sudo apt install gcc python3-dev libpcsclite-dev "
            "pkg-config pcscd`, then install the extra `onecard[pcsc]`"
        ),
    )
    SERVICE_NOT_RUNNING = Text(
        (
            "读卡器服务 pcscd 未运行；启动它（`sudo systemctl start pcscd`，没有 systemd 时 "
            "`sudo pcscd --foreground`）后重试"
        ),
        (
            "the reader service pcscd is not running; start it (`sudo systemctl start pcscd`, "
            "or `sudo pcscd --foreground` where there is no systemd) and repeat"
        ),
    )
    ACCESS_DENIED = Text(
        (
            "当前用户无权使用读卡器；请在 `/etc/polkit-1/rules.d/` 中授予 "
            "`org.debian.pcsc-lite.access_pcsc` 与 `org.debian.pcsc-lite.access_card`"
        ),
        (
            "this user may not use readers; allow `org.debian.pcsc-lite.access_pcsc` and "
            "`org.debian.pcsc-lite.access_card` to it in `/etc/polkit-1/rules.d/`"
        ),
    )
    NO_READER = Text(
        "没有读卡器；请连接读卡器，或安装 vsmartcard-vpcd 虚拟读卡器后重启 pcscd",
        (
            "there is no reader; plug one in, or install vsmartcard-vpcd for virtual ones and "
            "restart pcscd"
        ),
    )
    READER_UNKNOWN = Text(
        "没有名称相符的读卡器；请检查 --reader 或 ONECARD_READER",
        "no reader's name contains that; check --reader or ONECARD_READER",
    )
    READER_AMBIGUOUS = Text(
        "名称与多个读卡器相符；请写出更完整的名称",
        "several readers' names contain that; name more of the one you mean",
    )
    READER_UNPLUGGED = Text(
        "读卡器已断开；请重新连接；未完成的交易在该卡下次刷卡时补全",
        (
            "the reader was unplugged; plug it in again. A transaction that was under way is "
            "settled on the card's next visit"
        ),
    )
    NO_CARD = Text(
        "读卡器上没有卡；请放卡",
        "no card is on the reader; put one there",
    )
    CARD_MUTE = Text(
        "无法识别的卡：卡不应答；请重新放卡或换卡",
        (
            "unknown card: it does not answer to reset. Turn it over, put it there again, or try "
            "another card"
        ),
    )
    READER_IN_USE = Text(
        "读卡器正被其他程序使用；请关闭该程序或稍候重试",
        "another program is using this reader; close it, or wait and repeat",
    )
    OTHER = Text(
        "读卡器故障；请重新连接后重试",
        "the reader failed; plug it in again and repeat",
    )

    @property
    def text(self) -> Text:
        """What is wrong and what to do."""
        return self.value


class ReaderError(TerminalError):
    """A reader cannot be used now; the message says what to do.

    >>> print(ReaderError(ReaderProblem.NO_CARD, "Virtual PCD 00 00"))
    no card is on the reader; put one there (Virtual PCD 00 00)
    """

    def __init__(self, problem: ReaderProblem, detail: str = "") -> None:
        said = problem.text
        if detail:
            said = Text(f"{said.zh}（{detail}）", f"{said.en} ({detail})")
        super().__init__(said)
        self.problem = problem
        self.detail = detail
