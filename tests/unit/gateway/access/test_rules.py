"""Visibility as a table written by hand."""

from uuid import UUID, uuid4

import pytest

from pepeunit_gateway.access.agents import BOT, Agent, AgentType, UserRole, VisibilityLevel
from pepeunit_gateway.access.rules import (
    check_child_visibility,
    may_see,
    require_admin,
    require_creator,
    require_creator_or_admin,
    require_creator_or_unit,
    require_registrar,
    require_self_or_admin,
    require_sight,
    require_token,
)
from pepeunit_gateway.errors import NoAccessError, UnauthorizedError, ValidationError

CREATOR, STRANGER, ADMIN, UNIT = (uuid4() for _ in range(4))
AGENTS = {
    "bot": BOT,
    "creator": Agent(AgentType.USER, CREATOR, UserRole.USER),
    "stranger": Agent(AgentType.USER, STRANGER, UserRole.USER),
    "admin": Agent(AgentType.USER, ADMIN, UserRole.ADMIN),
    "unit": Agent(AgentType.UNIT, UNIT),
    "backend": Agent(AgentType.BACKEND, UUID(int=5)),
}
# level -> who sees it without a permission row, who with one
SEES = {
    "Public": (set(AGENTS), set(AGENTS)),
    "Internal": ({"creator", "stranger", "admin", "unit"}, {"creator", "stranger", "admin", "unit"}),
    "Private": ({"creator", "admin"}, {"creator", "stranger", "admin", "unit"}),
}


@pytest.mark.parametrize("level", SEES)
@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("permitted", [False, True])
def test_who_sees_what(level, name, permitted):
    expected = name in SEES[level][permitted]
    found = may_see(AGENTS[name], visibility=VisibilityLevel(level), creator_uuid=CREATOR, permitted=permitted)
    assert found is expected


# level -> who, without a permission row and with one, may make something of what they see (decisions.md 16)
USES = {
    "Public": SEES["Public"],
    "Internal": SEES["Internal"],
    "Private": ({"creator"}, {"creator", "stranger", "admin", "unit"}),
}


@pytest.mark.parametrize("level", USES)
@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("permitted", [False, True])
def test_being_an_admin_lets_read_and_not_use(level, name, permitted):
    facts = {"visibility": VisibilityLevel(level), "creator_uuid": CREATOR, "permitted": permitted, "acting": True}
    assert may_see(AGENTS[name], **facts) is (name in USES[level][permitted])


@pytest.mark.parametrize("level", SEES)
@pytest.mark.parametrize("name", AGENTS)
def test_who_sees_nothing_is_told_whether_a_token_would_help(level, name):
    facts = {"visibility": VisibilityLevel(level), "creator_uuid": CREATOR, "permitted": False}
    if name in SEES[level][False]:
        require_sight(AGENTS[name], **facts)
    else:
        with pytest.raises(UnauthorizedError if name == "bot" else NoAccessError) as refused:
            require_sight(AGENTS[name], **facts)
        assert refused.value.status == (401 if name == "bot" else 403)


def test_only_who_sent_no_token_is_asked_for_one():
    for name in ("creator", "stranger", "admin", "unit"):
        require_token(AGENTS[name])
    with pytest.raises(UnauthorizedError, match="x-auth-token"):
        require_token(BOT)


def test_a_unit_always_sees_itself():
    assert may_see(
        AGENTS["unit"], visibility=VisibilityLevel.PRIVATE, creator_uuid=CREATOR, permitted=False, is_self=True
    )


@pytest.mark.parametrize(
    ("parent", "child", "allowed"),
    [
        ("Public", "Public", True),
        ("Public", "Private", True),
        ("Internal", "Public", False),
        ("Internal", "Internal", True),
        ("Private", "Internal", False),
        ("Private", "Private", True),
    ],
)
def test_a_child_is_never_more_open_than_its_parent(parent, child, allowed):
    if allowed:
        check_child_visibility(VisibilityLevel(parent), VisibilityLevel(child))
    else:
        with pytest.raises(ValidationError):
            check_child_visibility(VisibilityLevel(parent), VisibilityLevel(child))


def test_only_admins_pass_where_admins_are_asked_for():
    require_admin(AGENTS["admin"])
    for name, error in (("bot", UnauthorizedError), ("stranger", NoAccessError), ("unit", NoAccessError)):
        with pytest.raises(error):
            require_admin(AGENTS[name])


def outcome(require, name, *facts, **more):
    """Tell who passes: True, or the status of the refusal."""
    try:
        require(AGENTS[name], *facts, **more)
    except UnauthorizedError:
        return 401
    except NoAccessError:
        return 403
    return True


# who passes each of these, of everything the creator's
PASSES = {
    require_creator: {"creator"},
    require_creator_or_admin: {"creator", "admin"},
    require_self_or_admin: {"creator", "admin"},
}


@pytest.mark.parametrize("require", PASSES)
@pytest.mark.parametrize("name", AGENTS)
def test_what_is_the_creators_is_theirs_and_some_of_it_an_admins(require, name):
    expected = True if name in PASSES[require] else 401 if name == "bot" else 403
    assert outcome(require, name, CREATOR) == expected


@pytest.mark.parametrize("name", AGENTS)
def test_users_are_made_by_admins_and_where_registration_is_open_by_who_has_no_token(name):
    closed = {"admin": True, "bot": 401}.get(name, 403)
    assert outcome(require_registrar, name, is_open=False) == closed
    assert outcome(require_registrar, name, is_open=True) == (True if name == "bot" else closed)


def test_an_admin_is_no_creator():
    assert require_creator(AGENTS["creator"], CREATOR) == CREATOR
    for name in ("stranger", "admin", "unit"):
        with pytest.raises(NoAccessError):
            require_creator(AGENTS[name], CREATOR)


def test_private_data_is_for_creator_and_unit_only():
    for name in ("creator", "unit"):
        require_creator_or_unit(AGENTS[name], CREATOR, UNIT)
    for name in ("stranger", "admin"):
        with pytest.raises(NoAccessError):
            require_creator_or_unit(AGENTS[name], CREATOR, UNIT)
    with pytest.raises(UnauthorizedError):
        require_creator_or_unit(BOT, CREATOR, UNIT)
    with pytest.raises(NoAccessError):
        require_creator_or_unit(Agent(AgentType.UNIT, uuid4()), CREATOR, UNIT)
