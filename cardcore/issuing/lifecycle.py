"""The life of a card (卡生命周期) as a table: seven states, what leads on, and who may do it.

Decides whether a step is allowed and what has to be done to the chip for it. Leaves doing it to the
desk, and telling terminals about a card that is not to be taken any more to the hotlist.

::

    stock ──personalise──► personalised ──issue──► active ◄──resume── suspended
      ▲                        │                    │  │                 ▲   │
      └────────void────────────┘                    │  └────suspend──────┘   │
                                                    ▼                        │
                              replaced ◄──replace── blocked ◄─────block──────┤
                                  │                 │                        │
                                  └────destroy──► destroyed ◄──(any other)   ▼ replace

A suspended card (挂失) has been reported lost: the holder may find it again. A blocked card (锁定)
was stopped by the issuer. A replaced card's money has gone to its successor; it never comes back.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class CardState(StrEnum):
    """Where a card is in its life."""

    STOCK = "stock"  # 在库
    PERSONALISED = "personalised"  # 已制卡
    ACTIVE = "active"  # 正常
    SUSPENDED = "suspended"  # 挂失
    BLOCKED = "blocked"  # 锁定
    REPLACED = "replaced"  # 已补换
    DESTROYED = "destroyed"  # 销毁


class LifeEvent(StrEnum):
    """What may happen to a card."""

    PERSONALISE = "personalise"  # 制卡
    VOID = "void"  # 废卡回库
    ISSUE = "issue"  # 发卡
    SUSPEND = "suspend"  # 挂失
    RESUME = "resume"  # 解挂
    BLOCK = "block"  # 锁卡
    UNBLOCK = "unblock"  # 解锁
    REPLACE = "replace"  # 补卡, 换卡
    DESTROY = "destroy"  # 销毁


class Requester(StrEnum):
    """Who asks for it."""

    HOLDER = "holder"  # 持卡人, by telephone or on a page
    DESK = "desk"  # 网点柜员
    SUPERVISOR = "supervisor"  # 主管
    PERSONALISER = "personaliser"  # 制卡中心
    RISK = "risk"  # 风控


class ChipAction(StrEnum):
    """What the step does to the chip; the card must be there for everything but NONE."""

    NONE = "none"  # 不动芯片
    PERSONALISE = "personalise"  # 个人化: `cardcore.issuing.personalisation.personalise`
    VOID = "void"  # 清除个人化: `cardcore.issuing.personalisation.void`
    BLOCK = "application-block"  # 应用锁定: APPLICATION BLOCK of the master file: all of them
    UNBLOCK = "application-unblock"  # 应用解锁
    BLOCK_FOR_GOOD = "card-block"  # 卡片锁定: CARD BLOCK


class LifeRefusal(StrEnum):
    """Why a step is not taken, in order of precedence."""

    FINAL = "final"  # 已销毁: a destroyed card stays destroyed
    NOT_FROM_HERE = "not-from-here"  # 当前状态不允许: nothing leads on from its state that way
    NOT_BY_THIS_ROLE = "not-by-this-role"  # 该角色无权: somebody else may


class Transition(NamedTuple):
    """One row: where it leads, who may ask, what the chip is told.

    A card that is not at hand (lost, stolen) is told when it next shows up at a desk, or by the
    terminal that finds it on the hotlist: the state does not wait for it.
    """

    to: CardState
    roles: frozenset[Requester]
    chip: ChipAction = ChipAction.NONE


_PERSONALISER = frozenset({Requester.PERSONALISER})
_DESKS = frozenset({Requester.DESK, Requester.SUPERVISOR})
_ANYBODY = frozenset({Requester.HOLDER, Requester.DESK, Requester.SUPERVISOR, Requester.RISK})
_WATCH = frozenset({Requester.RISK, Requester.SUPERVISOR})
_SUPERVISOR = frozenset({Requester.SUPERVISOR})
_KEEPERS = frozenset({Requester.PERSONALISER, Requester.SUPERVISOR})

TABLE: Mapping[tuple[CardState, LifeEvent], Transition] = {
    (CardState.STOCK, LifeEvent.PERSONALISE): Transition(
        CardState.PERSONALISED, _PERSONALISER | _DESKS, ChipAction.PERSONALISE
    ),
    (CardState.STOCK, LifeEvent.DESTROY): Transition(
        CardState.DESTROYED, _KEEPERS, ChipAction.BLOCK_FOR_GOOD
    ),
    (CardState.PERSONALISED, LifeEvent.VOID): Transition(
        CardState.STOCK, _KEEPERS, ChipAction.VOID
    ),
    (CardState.PERSONALISED, LifeEvent.ISSUE): Transition(CardState.ACTIVE, _DESKS),
    (CardState.PERSONALISED, LifeEvent.DESTROY): Transition(
        CardState.DESTROYED, _KEEPERS, ChipAction.BLOCK_FOR_GOOD
    ),
    (CardState.ACTIVE, LifeEvent.SUSPEND): Transition(CardState.SUSPENDED, _ANYBODY),
    (CardState.ACTIVE, LifeEvent.BLOCK): Transition(CardState.BLOCKED, _WATCH, ChipAction.BLOCK),
    (CardState.ACTIVE, LifeEvent.REPLACE): Transition(
        CardState.REPLACED, _DESKS, ChipAction.BLOCK_FOR_GOOD
    ),
    # Who finds a card again shows it, and who they are, at a desk: never by telephone.
    (CardState.SUSPENDED, LifeEvent.RESUME): Transition(CardState.ACTIVE, _DESKS),
    (CardState.SUSPENDED, LifeEvent.BLOCK): Transition(CardState.BLOCKED, _WATCH, ChipAction.BLOCK),
    (CardState.SUSPENDED, LifeEvent.REPLACE): Transition(CardState.REPLACED, _DESKS),
    (CardState.BLOCKED, LifeEvent.UNBLOCK): Transition(
        CardState.ACTIVE, _SUPERVISOR, ChipAction.UNBLOCK
    ),
    (CardState.BLOCKED, LifeEvent.REPLACE): Transition(CardState.REPLACED, _SUPERVISOR),
    (CardState.BLOCKED, LifeEvent.DESTROY): Transition(
        CardState.DESTROYED, _SUPERVISOR, ChipAction.BLOCK_FOR_GOOD
    ),
    (CardState.REPLACED, LifeEvent.DESTROY): Transition(
        CardState.DESTROYED, _DESKS, ChipAction.BLOCK_FOR_GOOD
    ),
}
#: States in which terminals take the card.
ACCEPTED = frozenset({CardState.ACTIVE})


def decide_event(state: CardState, event: LifeEvent, role: Requester) -> Transition | LifeRefusal:
    """Whether this may happen now and by this role, and what follows.

    >>> decide_event(CardState.ACTIVE, LifeEvent.SUSPEND, Requester.HOLDER).to
    <CardState.SUSPENDED: 'suspended'>
    >>> decide_event(CardState.SUSPENDED, LifeEvent.RESUME, Requester.HOLDER)
    <LifeRefusal.NOT_BY_THIS_ROLE: 'not-by-this-role'>
    """
    if state is CardState.DESTROYED:
        return LifeRefusal.FINAL
    transition = TABLE.get((state, event))
    if transition is None:
        return LifeRefusal.NOT_FROM_HERE
    return transition if role in transition.roles else LifeRefusal.NOT_BY_THIS_ROLE
