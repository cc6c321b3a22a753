"""Users over HTTP, on a real gateway."""

import asyncio
import json
from uuid import UUID

import pytest
import pytest_asyncio

from pepeunit_gateway.access.agents import Agent, AgentType, UserRole
from pepeunit_gateway.registry.users import UserFilter
from tests.support.gateway import PASSWORD, GatewayUnderTest

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    async with GatewayUnderTest(tmp_path_factory.mktemp("data")) as running:
        yield running


async def test_an_admin_creates_a_user_who_logs_in_and_reads_what_users_may_read(gateway):
    admin = await gateway.admin()
    made = await admin.made("/users", {"login": "reader", "password": PASSWORD})
    assert (made["role"], made["status"], made["login"]) == ("User", "Unverified", "reader")
    assert set(made) == {
        "uuid", "role", "status", "login", "grafana_org_name", "grafana_org_id", "create_datetime",
    }  # fmt: skip
    assert made["create_datetime"].endswith("Z")
    reader = await gateway.login("reader", made["uuid"])
    assert (await reader.get(f"/users/{made['uuid']}")).body == made
    listed = await reader.get("/users", {"search_string": "READ", "role": "User"})
    assert (listed.body["count"], listed.body["users"]) == (1, [made])


@pytest.mark.parametrize("login", ["abc", "x" * 21, "with space", "ключ-ключ", "", "a/b/c", "line\nbreak"])
async def test_logins_outside_the_name_rule_are_refused(gateway, login):
    reply = await (await gateway.admin()).post("/users", {"login": login, "password": PASSWORD})
    assert reply.status == 422
    assert reply.detail.startswith("422: 3: User Validation Error: the login ")


@pytest.mark.parametrize("password", ["short-7", "x" * 101, "with space in it", "пароль-пароль"])
async def test_passwords_outside_the_rule_are_refused_and_never_repeated(gateway, password):
    reply = await (await gateway.admin()).post("/users", {"login": "refused", "password": password})
    assert reply.status == 422
    assert reply.detail.startswith("422: 3: User Validation Error: the password ")
    assert password not in reply.detail


async def test_a_login_is_taken_once(gateway):
    admin = await gateway.admin()
    await admin.made("/users", {"login": "taken-once", "password": PASSWORD})
    reply = await admin.post("/users", {"login": "taken-once", "password": PASSWORD})
    assert (reply.status, reply.detail) == (409, "409: 3: User Validation Error: the login taken-once is taken")


async def test_registration_is_closed_unless_an_admin_asks(gateway):
    body = {"login": "stranger", "password": PASSWORD}
    assert (await gateway.nobody.post("/users", body)).status == 401
    user = await gateway.user("no-admin")
    assert (await user.post("/users", body)).status == 403


@pytest.mark.parametrize(
    "body",
    [{"credentials": "root-admin", "password": "wrong-password"}, {"credentials": "nobody-here", "password": PASSWORD}],
)
async def test_a_failed_login_is_401_whatever_the_reason(gateway, body):
    await gateway.admin()
    reply = await gateway.nobody.post("/users/auth", body)
    assert (reply.status, reply.detail) == (401, "401: 1: No Access: login or password is wrong")
    assert "WWW-Authenticate" in reply.headers


async def test_whoever_holds_a_valid_token_does_not_log_in_with_it(gateway):
    admin = await gateway.admin()
    reply = await admin.post("/users/auth", {"credentials": "root-admin", "password": PASSWORD})
    assert (reply.status, reply.detail.startswith("403: 1: ")) == (403, True)


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "x" * 5000])
async def test_a_wrong_token_is_401(gateway, token):
    reply = await gateway.nobody.with_token(token).get("/users")
    assert reply.status == 401
    assert reply.detail.startswith("401: 1: No Access: ")
    assert len(token) < 10 or token not in reply.detail


async def test_no_token_is_401_and_an_unknown_user_404(gateway):
    assert (await gateway.nobody.get("/users")).status == 401
    admin = await gateway.admin()
    reply = await admin.get("/users/00000000-0000-4000-8000-000000000000")
    assert (reply.status, reply.detail.startswith("404: 2: ")) == (404, True)
    assert (await admin.get("/users/not-a-uuid")).status == 422


async def test_a_user_changes_only_their_own_login_and_password(gateway):
    user, other = await gateway.user("before"), await gateway.user("bystander")
    reply = await user.patch(f"/users/{other.uuid}", {"login": "after-it", "password": None})
    assert (reply.status, reply.body["uuid"], reply.body["login"]) == (200, user.uuid, "after-it")
    assert (await other.get(f"/users/{other.uuid}")).body["login"] == "bystander"
    assert (await user.patch(f"/users/{user.uuid}", {"login": "bystander"})).status == 409
    assert (await user.patch(f"/users/{user.uuid}", {"password": "another-pass-1"})).status == 200
    assert (await user.get("/users")).status == 401, "a new password ends earlier tokens"


async def test_an_admin_blocks_and_unblocks(gateway):
    admin, user = await gateway.admin(), await gateway.user("to-block")
    assert (await user.patch(f"/users/block/{user.uuid}")).status == 403
    assert (await admin.patch(f"/users/block/{user.uuid}")).status == 204
    assert (await user.get("/users")).status in (401, 403)
    login = {"credentials": "to-block", "password": PASSWORD}
    assert (await gateway.nobody.post("/users/auth", login)).status == 401
    assert (await admin.patch(f"/users/unblock/{user.uuid}")).status == 204
    assert (await gateway.nobody.post("/users/auth", login)).status == 200
    assert (await admin.patch("/users/block/00000000-0000-4000-8000-000000000000")).status == 404


async def test_pages_are_cut_and_counted_before_the_cut(gateway):
    admin = await gateway.admin()
    for index in range(3):
        await admin.made("/users", {"login": f"paged-{index}", "password": PASSWORD})
    params = {"search_string": "paged-", "order_by_create_date": "asc", "offset": 1, "limit": 1}
    reply = await admin.get("/users", params)
    assert reply.body["count"] == 3
    assert [user["login"] for user in reply.body["users"]] == ["paged-1"]
    assert (await admin.get("/users", {"limit": 501})).body == {"detail": "limit must be <= 500"}


async def test_where_registration_is_open_the_first_user_is_admin_and_a_token_is_out_of_place(tmp_path):
    async with GatewayUnderTest(tmp_path, registration="open") as gateway:
        first = await gateway.nobody.made("/users", {"login": "first", "password": PASSWORD})
        second = await gateway.nobody.made("/users", {"login": "second", "password": PASSWORD})
        assert (first["role"], second["role"]) == ("Admin", "User")
        user = await gateway.login("second", second["uuid"])
        assert (await user.post("/users", {"login": "third", "password": PASSWORD})).status == 403


async def test_logins_that_find_too_many_waiting_are_sent_away_and_the_others_are_answered(gateway):
    await gateway.user("patient")
    wrong = [{"credentials": f"nobody-{number}", "password": "not-the-password"} for number in range(40)]
    replies = await asyncio.gather(*(gateway.nobody.post("/users/auth", body) for body in wrong))
    assert {reply.status for reply in replies} == {401, 429}
    refused = [reply for reply in replies if reply.status == 429]
    assert {reply.headers["Retry-After"] for reply in refused} == {"1"}
    assert refused[0].detail.startswith("429: 17: ")
    await gateway.login("patient", "")


async def test_a_link_to_a_messenger_is_405_because_there_is_no_bot(gateway):
    for path in ("/users/generate_verification_link/", "/users/generate_verification_link"):
        reply = await (await gateway.admin()).get(path)
        assert (reply.status, reply.detail.startswith("405: 15: Feature Flag Error: ")) == (405, True)
        assert (await gateway.nobody.get(path)).status == 401


async def test_w17_no_change_of_a_user_touches_the_name_of_their_organisation(gateway):
    admin, user = await gateway.admin(), await gateway.user("organised")

    async def organisation():
        return (await admin.get(f"/users/{user.uuid}")).body["grafana_org_name"]

    before = await organisation()
    assert (
        await user.patch(f"/users/{user.uuid}", {"login": "organised-2", "grafana_org_name": user.uuid})
    ).status == 200
    assert (await user.patch(f"/users/{user.uuid}", {"password": "another-pass-1"})).status == 200
    assert (await admin.patch(f"/users/block/{user.uuid}")).status == 204
    assert (await admin.patch(f"/users/unblock/{user.uuid}")).status == 204
    assert await organisation() == before


async def test_the_last_admin_who_can_log_in_is_neither_blocked_nor_deleted(tmp_path):
    async with GatewayUnderTest(tmp_path) as gateway:
        admin = await gateway.admin()
        for act in (admin.patch(f"/users/block/{admin.uuid}"), admin.delete(f"/users/{admin.uuid}")):
            reply = await act
            assert (reply.status, reply.detail) == (
                409, "409: 3: User Validation Error: this is the last Admin; make another one first",
            )  # fmt: skip
        other = await gateway.registry.users.create_admin("second", PASSWORD)
        assert (await admin.patch(f"/users/block/{other.uuid}")).status == 204
        assert (await admin.delete(f"/users/{admin.uuid}")).status == 409, "a blocked Admin is no other"
        assert (await admin.patch(f"/users/unblock/{other.uuid}")).status == 204
        assert (await admin.delete(f"/users/{admin.uuid}")).status == 204


async def test_w31_two_admins_who_block_each_other_at_once_leave_one(tmp_path):
    async with GatewayUnderTest(tmp_path) as gateway:
        first = await gateway.admin()
        made = await gateway.registry.users.create_admin("second", PASSWORD)
        second = await gateway.login("second", str(made.uuid))
        replies = await asyncio.gather(
            first.patch(f"/users/block/{second.uuid}"), second.patch(f"/users/block/{first.uuid}")
        )
        assert min(reply.status for reply in replies) == 204
        listed = [user.status for user in (await _all_users(gateway))]
        assert listed.count("Blocked") == 1


async def _all_users(gateway):
    agent = Agent(AgentType.USER, UUID(int=1), UserRole.ADMIN)
    return (await gateway.registry.users.page(agent, UserFilter())).items


async def test_unblocking_one_who_is_not_blocked_changes_nothing(gateway):
    admin, user = await gateway.admin(), await gateway.user("never-blocked")
    assert (await admin.patch(f"/users/unblock/{user.uuid}")).status == 204
    assert (await user.get("/users")).status == 200


_AT_ONCE = 40


async def _together(gateway, method, path, calls):
    """Send these calls at once and return the statuses, which the document lists; of 429 also the text."""
    document = (await gateway.nobody.get("/openapi.json")).body
    documented = document["paths"][path][method]["responses"]
    replies = await asyncio.gather(*calls)
    assert {str(reply.status) for reply in replies} <= set(documented)
    limited = [reply for reply in replies if reply.status == 429]
    assert all("Retry-After" in reply.headers for reply in limited)
    assert all(reply.detail in json.dumps(documented["429"]) for reply in limited)
    return {reply.status for reply in replies}


@pytest.mark.usefixtures("real_passwords")  # cheap ones keep nobody waiting
async def test_whatever_many_logins_and_passwords_at_once_are_answered_is_documented(gateway):
    admin, numbers = await gateway.admin(), range(_AT_ONCE)
    made = (admin.post("/users", {"login": f"crowd-{number}", "password": PASSWORD}) for number in numbers)
    assert await _together(gateway, "post", "/users", made) == {201, 429}
    user = await gateway.user("changes-often")
    changed = (user.patch(f"/users/{user.uuid}", {"password": PASSWORD}) for _ in numbers)
    # the first new password ends the token of the others
    assert await _together(gateway, "patch", "/users/{uuid}", changed) == {200, 401, 429}
    body = {"credentials": "changes-often", "password": PASSWORD}
    logins = (gateway.nobody.post("/users/auth", body) for _ in numbers)
    assert await _together(gateway, "post", "/users/auth", logins) == {200, 429}
