"""Logging in: what cannot be told apart, old hashes, limits of failures."""

import asyncio
import base64
import hashlib
import json
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import event, select

from pepeunit_gateway.access import passwords
from pepeunit_gateway.bus.redis import RedisBus
from pepeunit_gateway.errors import TooManyRequestsError, UnauthorizedError, UserError
from pepeunit_gateway.registry.hashing import Hashing
from pepeunit_gateway.registry.logins import Logins
from pepeunit_gateway.storage.own_tables import audit
from pepeunit_gateway.storage.tables import users
from tests.support.gateway import PASSWORD, GatewayUnderTest
from tests.support.redis import RedisServer

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")

STATIC = "salt-of-an-older-installation"
ANSWER = (401, "401: 1: No Access: login or password is wrong")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    async with GatewayUnderTest(folder, static_salt=STATIC, login_address_max_failures=10_000) as running:
        yield running


async def attempt(gateway, credentials, password="wrong-password"):
    return await gateway.nobody.post("/users/auth", {"credentials": credentials, "password": password})


async def store(gateway, login, /, **values):
    async with gateway.registry.context.act() as act:
        await act.connection.execute(users.update().where(users.c.login == login).values(**values))


async def stored(gateway, login):
    async with gateway.registry.context.database.read() as connection:
        return (await connection.execute(select(users).where(users.c.login == login))).one()


async def take_over(gateway, login, static=STATIC):
    """Make a user whose row is as the contract has it (protocol/security.md 3.3)."""
    user = await gateway.user(login)
    dynamic = base64.b64encode(uuid4().bytes).decode()
    digest = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), (dynamic + static).encode(), 100_000, 32)
    cipher = gateway.registry.context.cipher.encrypt(dynamic)
    await store(gateway, login, hashed_password=base64.b64encode(digest).decode(), cipher_dynamic_salt=cipher)
    return user


@contextmanager
def every_statement(database):
    """The SQL statements about users and the trail that run in the block, in their order; jobs have others."""
    texts = []

    def ran(_connection, _cursor, statement, *_):
        if "FROM users" in statement or statement.startswith(("UPDATE users", "INSERT INTO audit")):
            texts.append(statement)

    engines = [database._reader.sync_engine, database._writer.sync_engine]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", ran)
    try:
        yield texts
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", ran)


async def test_an_account_taken_over_logs_in_and_gets_a_new_hash(gateway):
    user = await take_over(gateway, "veteran")
    assert (await attempt(gateway, "veteran")).status == 401
    assert not (await stored(gateway, "veteran")).hashed_password.startswith("$argon2id$")
    assert (await attempt(gateway, "veteran", PASSWORD)).status == 200
    row = await stored(gateway, "veteran")
    assert (row.hashed_password[:10], row.cipher_dynamic_salt) == ("$argon2id$", "")
    assert (await user.get("/users")).status == 200, "a new hash of the same password ends no token"
    assert (await attempt(gateway, "veteran", PASSWORD)).status == 200
    assert (await attempt(gateway, "veteran")).status == 401


async def test_a_password_that_was_changed_during_a_login_is_not_overwritten_by_the_new_hash(gateway, monkeypatch):
    user = await take_over(gateway, "hasty")
    hashing = gateway.registry.logins._hashing
    real = hashing.hash_now

    async def hash_now(password):
        hashed = await real(password)
        monkeypatch.undo()
        await gateway.registry.users.edit(
            await gateway.registry.agents.identify(user.token), password="battery-staple-7"
        )
        return hashed

    monkeypatch.setattr(hashing, "hash_now", hash_now)
    token = (await attempt(gateway, "hasty", PASSWORD)).body["token"]
    assert (await attempt(gateway, "hasty", "battery-staple-7")).status == 200
    assert (await attempt(gateway, "hasty", PASSWORD)).status == 401
    assert (await gateway.nobody.with_token(token).get("/users")).status == 401


@pytest.mark.parametrize(
    ("values", "variable"),
    [({"hashed_password": "old"}, "PU_STATIC_SALT"), ({"cipher_dynamic_salt": "AAAA.AAAA"}, "PU_ENCRYPT_KEY")],
)
async def test_a_hash_that_cannot_be_verified_is_wrong_and_one_warning_names_the_variable(
    tmp_path, capfd, values, variable
):
    static = "" if variable == "PU_STATIC_SALT" else STATIC
    async with GatewayUnderTest(tmp_path, static_salt=static) as gateway:
        await take_over(gateway, "stranded")
        await store(gateway, "stranded", **values)
        capfd.readouterr()
        reply = await attempt(gateway, "stranded", PASSWORD)
        assert (reply.status, reply.detail) == ANSWER
        told = [line for line in "".join(capfd.readouterr()).splitlines() if "login.password.unverifiable" in line]
    assert len(told) == 1
    assert variable in told[0]
    assert PASSWORD not in told[0]


@pytest.mark.usefixtures("real_passwords")
async def test_w14_unknown_wrong_old_and_blocked_do_the_same_work_and_get_the_same_answer(gateway, monkeypatch):
    """The same hashes, the same SQL statements, the same headers: nothing to measure and nothing to read."""
    for login in ("modern", "barred", "barred-old"):
        await gateway.user(login)
    await take_over(gateway, "ancient")
    for login in ("barred", "barred-old"):
        await (await gateway.admin()).patch(f"/users/block/{(await stored(gateway, login)).uuid}")
    old = await stored(gateway, "ancient")
    await store(gateway, "barred-old", hashed_password=old.hashed_password, cipher_dynamic_salt=old.cipher_dynamic_salt)
    counted = []
    real_verify, real_pbkdf2, real_hash = passwords.PasswordHasher.verify, hashlib.pbkdf2_hmac, passwords.hash_password

    def counting(name, real):
        def count(*args):
            counted.append(name)
            return real(*args)

        return count

    monkeypatch.setattr(passwords.PasswordHasher, "verify", counting("argon2", real_verify))
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", counting("pbkdf2", real_pbkdf2))
    monkeypatch.setattr("pepeunit_gateway.registry.hashing.hash_password", counting("hash", real_hash))
    seen = set()
    for credentials, password in (
        ("nobody-here", "wrong-password"),
        ("modern", "wrong-password"),
        ("ancient", "wrong-password"),
        ("barred", "wrong-password"),
        ("barred", PASSWORD),
        ("barred-old", PASSWORD),
    ):
        counted.clear()
        with every_statement(gateway.registry.context.database) as statements:
            reply = await attempt(gateway, credentials, password)
        headers = tuple(sorted(set(reply.headers) - {"Date"}))
        seen.add((reply.status, json.dumps(reply.body), headers, tuple(counted), tuple(statements)))
    assert len(seen) == 1, seen
    hashes, statements = next(iter(seen))[3:]
    assert (hashes, len(statements)) == (("argon2", "pbkdf2"), 2)


async def test_w14_a_login_of_digits_never_shadows_a_chat_id_and_the_other_way_round(gateway):
    """The exact login wins, whichever row is older; a chat id works where no login is the same."""
    for first, second in (("linked-1", "1234567"), ("7654321", "linked-2")):
        for login in (first, second):
            await gateway.user(f"was-{login}")
            await store(gateway, f"was-{login}", login=login)  # as installations have them; none is made any more
    await store(gateway, "linked-1", telegram_chat_id="1234567")
    await store(gateway, "linked-2", telegram_chat_id="7654321")
    await store(gateway, "1234567", telegram_chat_id="5550001")
    for credentials, expected in (("1234567", "1234567"), ("7654321", "7654321"), ("5550001", "1234567")):
        token = (await attempt(gateway, credentials, PASSWORD)).body["token"]
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        assert claims["uuid"] == str((await stored(gateway, expected)).uuid)


@pytest.mark.parametrize("known", [True, False])
async def test_after_some_failures_an_account_is_refused_with_the_right_password_too(tmp_path, known):
    """W14."""
    async with GatewayUnderTest(tmp_path, login_max_failures=3, login_failure_window=600) as gateway:
        await gateway.admin()
        if known:
            await gateway.user("guessed")
        for _ in range(3):
            assert (await attempt(gateway, "guessed")).status == 401
        for password in ("wrong-password", PASSWORD):
            reply = await attempt(gateway, "guessed", password)
            assert reply.status == 429
            assert reply.detail.startswith("429: 17: Too Many Requests: too many failed logins; wait ")
            assert 590 <= int(reply.headers["Retry-After"]) <= 600
        assert (await attempt(gateway, "root-admin", PASSWORD)).status == 200, "only this account is limited"


async def test_a_success_forgets_the_failures_of_the_account_and_only_failures_count(tmp_path):
    async with GatewayUnderTest(tmp_path, login_max_failures=3) as gateway:
        await gateway.user("clumsy")
        for _ in range(3):
            assert [(await attempt(gateway, "clumsy")).status for _ in range(2)] == [401, 401]
            assert [(await attempt(gateway, "clumsy", PASSWORD)).status for _ in range(5)] == [200] * 5


async def test_w14_a_login_that_is_a_number_is_not_made_any_more_and_goes_on_working_where_there_is_one(gateway):
    """It would be found in the place of a chat id."""
    admin, user = await gateway.admin(), await gateway.user("numberless")
    refused = "may not be a number: it could be taken for the chat id of a messenger"
    for login in ("777123456", "0000", "-1001234567890"):
        made = await admin.post("/users", {"login": login, "password": PASSWORD})
        renamed = await user.patch(f"/users/{user.uuid}", {"login": login})
        for reply in (made, renamed):
            assert (reply.status, refused in reply.detail) == (422, True)
        with pytest.raises(UserError, match="may not be a number"):
            await gateway.registry.users.create_admin(login, PASSWORD)
    await store(gateway, "numberless", login="777123456")
    assert (await attempt(gateway, "777123456", PASSWORD)).status == 200
    assert (await user.patch(f"/users/{user.uuid}", {"login": "777123456"})).status == 200, "it is theirs already"
    for login in ("7-77", "777a", "--77", "7.77"):
        assert (await user.patch(f"/users/{user.uuid}", {"login": login})).body["login"] == login


async def test_failures_with_login_and_chat_id_of_one_account_add_up(tmp_path):
    async with GatewayUnderTest(tmp_path, login_max_failures=4) as gateway:
        await gateway.user("linked")
        await store(gateway, "linked", telegram_chat_id="424242")
        for name in ("linked", "424242") * 2:
            assert (await attempt(gateway, name)).status == 401
        for name in ("linked", "424242"):
            assert (await attempt(gateway, name, PASSWORD)).status == 401, "four guesses were all of them"


async def test_w14_nobody_is_told_whose_chat_id_it_is(tmp_path):
    """A chat id of an account that is limited is answered as one that nobody has, step by step."""
    async with GatewayUnderTest(tmp_path, login_max_failures=3) as gateway:
        await gateway.user("linked")
        await store(gateway, "linked", telegram_chat_id="424242")
        assert [(await attempt(gateway, "linked")).status for _ in range(4)] == [401, 401, 401, 429]
        told = []
        for name in ("424242", "535353"):
            replies = [await attempt(gateway, name) for _ in range(5)]
            told.append([(reply.status, reply.detail.partition("wait")[0]) for reply in replies])
        assert told[0] == told[1]
        assert [status for status, _ in told[0]] == [401, 401, 401, 429, 429]


async def test_a_success_with_one_name_forgets_the_failures_of_the_account(tmp_path):
    async with GatewayUnderTest(tmp_path, login_max_failures=3) as gateway:
        await gateway.user("linked")
        await store(gateway, "linked", telegram_chat_id="424242")
        for _ in range(3):
            assert [(await attempt(gateway, "424242")).status for _ in range(2)] == [401, 401]
            assert (await attempt(gateway, "424242", PASSWORD)).status == 200


async def test_an_address_that_tries_many_accounts_is_refused_for_all_of_them(tmp_path):
    """W14."""
    async with GatewayUnderTest(tmp_path, login_address_max_failures=4, trusted_proxies="127.0.0.1") as gateway:
        await gateway.user("innocent")

        async def guess(login, address, password="wrong-password"):
            body = json.dumps({"credentials": login, "password": password})
            headers = {"X-Forwarded-For": address, "Content-Type": "application/json"}
            return (await gateway.nobody.call("POST", "/users/auth", data=body, headers=headers)).status

        assert [await guess(f"account-{number}", f"2001:db8::{number}") for number in range(4)] == [401] * 4
        assert await guess("innocent", "2001:db8::99", PASSWORD) == 429, "one site has a whole /64 of addresses"
        assert await guess("innocent", "2001:db8:0:1::1", PASSWORD) == 200
        assert await guess("innocent", "192.0.2.7", PASSWORD) == 200


@pytest.mark.usefixtures("real_passwords")
async def test_many_guesses_at_once_get_hardly_further_than_one_after_the_other(tmp_path):
    async with GatewayUnderTest(tmp_path, login_max_failures=3) as gateway:
        await gateway.user("stormed")
        replies = await asyncio.gather(*(attempt(gateway, "stormed") for _ in range(12)))
        statuses = sorted(reply.status for reply in replies)
        assert statuses.count(401) in (3, 4), "two are hashed at a time"
        assert set(statuses) == {401, 429}


async def test_w14_gateways_on_one_redis_count_failures_together(tmp_path):
    async with GatewayUnderTest(tmp_path / "data", login_max_failures=4) as gateway, AsyncExitStack() as stack:
        await gateway.user("everywhere")
        server = stack.enter_context(RedisServer(tmp_path / "redis"))
        logins = []
        for _ in range(2):
            bus = RedisBus(server.url)
            await bus.start()
            stack.push_async_callback(bus.stop)
            logins.append(Logins(replace(gateway.registry.context, bus=bus), Hashing("")))
        for number in range(4):
            with pytest.raises(UnauthorizedError):
                await logins[number % 2].login("everywhere", "wrong-password", "192.0.2.1")
        for one in logins:
            with pytest.raises(TooManyRequestsError) as refused:
                await one.login("everywhere", PASSWORD, "192.0.2.1")
            assert 890 <= refused.value.retry_after <= 900


async def test_the_trail_of_a_flood_is_bounded_and_tells_no_password_and_no_unknown_login(tmp_path):
    async with GatewayUnderTest(tmp_path, login_max_failures=3) as gateway:
        admin = await gateway.admin()
        await gateway.user("flooded")
        for credentials in ("flooded", "typed-password-here"):
            for _ in range(8):
                await attempt(gateway, credentials, "another-secret-7")
        events = (await admin.get("/audit", [("action", "LoginFailed"), ("action", "LoginLimited")])).body["events"]
        assert [event["action"] for event in events].count("LoginFailed") == 6
        assert [event["action"] for event in events].count("LoginLimited") == 2
        limited = [event for event in events if event["action"] == "LoginLimited"]
        assert {event["subject_name"] for event in limited} == {None, "flooded"}
        assert all(event["details"]["limit"] == "account" for event in limited)
        assert all((event["actor_type"], event["address"]) == ("Bot", "127.0.0.1") for event in events)
        async with gateway.registry.context.database.read() as connection:
            rows = repr((await connection.execute(select(audit))).all())
        for secret in ("typed-password-here", "another-secret-7", PASSWORD):
            assert secret not in rows


async def test_a_login_gives_a_token_for_the_time_that_is_set(tmp_path):
    async with GatewayUnderTest(tmp_path, auth_token_expiration=3600) as gateway:
        user = await gateway.user("expires")
        claims = json.loads(base64.urlsafe_b64decode(user.token.split(".")[1] + "=="))
        assert UUID(claims["uuid"])
        left = datetime.fromtimestamp(claims["exp"], UTC) - datetime.now(UTC)
        assert timedelta(minutes=59) < left <= timedelta(hours=1)
