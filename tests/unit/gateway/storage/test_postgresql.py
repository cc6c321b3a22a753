"""PostgreSQL: what its address may say, what a start says of a server that is of no use, and its backups."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.data_folder import database_url
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.dump import dump
from pepeunit_gateway.storage.postgresql import dump_environment, shown
from pepeunit_gateway.storage.upgrade import upgrade
from tests.support.certificates import Authority
from tests.support.databases import session_databases
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer

PASSWORD = "s3cr3t/with@signs"


def address(port: int, query: str = "") -> URL:
    return make_url(f"postgresql://pepe:s3cr3t%2Fwith%40signs@127.0.0.1:{port}/fleet{query}")


async def start_with(url: URL, folder: Path) -> None:
    database = Database(url)
    try:
        await upgrade(database, folder)
    finally:
        await database.close()


async def refusal(url: URL, folder: Path) -> str:
    with pytest.raises(StartError) as caught:
        await start_with(url, folder)
    assert PASSWORD not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    return str(caught.value)


async def test_a_server_that_is_absent_is_named_without_the_password(tmp_path):
    port = free_port()
    said = await refusal(address(port), tmp_path)
    assert f"postgresql://pepe:***@127.0.0.1:{port}/fleet" in said
    assert "PU_SQLALCHEMY_DATABASE_URL" in said


async def test_a_wrong_password_is_said_without_it(tmp_path):
    server = session_databases.server
    url = server.url("postgres").set(password=PASSWORD)
    said = await refusal(url, tmp_path)
    assert "password authentication failed" in said
    assert "Correct user and password in PU_SQLALCHEMY_DATABASE_URL" in said
    assert "docs/postgresql.md" in said
    assert "Start PostgreSQL" not in said
    assert "Error" not in said


async def test_a_database_that_does_not_exist_is_said(tmp_path):
    url = session_databases.server.url("nowhere")
    said = await refusal(url, tmp_path)
    assert 'database "nowhere" does not exist' in said
    assert "Create it, see docs/postgresql.md" in said
    assert "Start PostgreSQL" not in said


async def test_a_database_that_cannot_keep_every_text_is_refused(tmp_path):
    server = session_databases.server
    server.query(
        "postgres",
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc TEMPLATE template0",
    )
    try:
        assert "keeps texts as LATIN1" in await refusal(server.url("latin"), tmp_path)
    finally:
        server.drop_database("latin")


async def test_a_user_who_may_not_make_tables_is_told_so(tmp_path):
    server = session_databases.server
    url = server.create_database()
    server.query("postgres", f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    try:
        said = await refusal(url.set(username="guest", password=PASSWORD), tmp_path)
        assert "permission denied for schema public" in said
    finally:
        server.drop_database(str(url.database))
        server.query("postgres", "DROP ROLE guest")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?ssl=require", "ssl is not known"),
        ("?pool=3&channel_binding=require", "channel_binding, pool is not known"),
        ("?connect_timeout=soon", "connect_timeout is a number of seconds"),
        ("?connect_timeout=0", "connect_timeout is a number of seconds"),
    ],
)
def test_an_option_without_effect_is_refused(query, said):
    with pytest.raises(StartError, match=said):
        Database(address(5432, query))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg2"])
async def test_every_name_of_the_scheme_is_taken(scheme, tmp_path):
    given = session_databases.server.create_database().set(drivername="postgresql")
    text_of_it = given.render_as_string(hide_password=False).replace("postgresql", scheme, 1)
    url = database_url(Settings(sqlalchemy_database_url=text_of_it, data_dir=tmp_path))
    await start_with(url, tmp_path)
    session_databases.server.drop_database(str(given.database))


def test_what_is_shown_has_neither_password_nor_options():
    assert shown(address(5432, "?sslmode=require")) == "postgresql://pepe:***@127.0.0.1:5432/fleet"


async def test_an_address_may_name_a_folder_of_sockets(tmp_path):
    server = session_databases.server
    url = server.create_database().set(
        host=None, port=None, query={"host": str(server.folder), "port": str(server.port)}
    )
    await start_with(url, tmp_path)
    server.drop_database(str(url.database))


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory) -> Iterator[tuple[PostgresServer, Path]]:
    """A server with a certificate, and that of its authority."""
    authority = Authority()
    server = PostgresServer(ssl="on", ssl_cert_file="../server.pem", ssl_key_file="../server.key")
    certificate, key = server.folder / "server.pem", server.folder / "server.key"
    authority.files(certificate, key, "localhost")
    owner = server.folder.stat()
    os.chown(key, owner.st_uid, owner.st_gid)
    key.chmod(0o600)
    trusted = tmp_path_factory.mktemp("authority") / "ca.pem"
    trusted.write_text(authority.pem)
    with server:
        yield server, trusted


async def _encryption(url: URL) -> str:
    database = Database(url)
    try:
        async with database.read() as connection:
            query = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            return "yes" if (await connection.execute(query)).scalar_one() else "no"
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("host", "query", "expected"),
    [
        ("127.0.0.1", "sslmode=disable", "no"),
        ("127.0.0.1", "sslmode=require", "yes"),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert={ca}", "yes"),
        ("localhost", "sslmode=verify-full&sslrootcert={ca}", "yes"),
    ],
)
async def test_tls_is_used_as_the_address_says(encrypted, host, query, expected):
    server, trusted = encrypted
    url = server.url("postgres").set(host=host).update_query_string(query.format(ca=trusted))
    assert await _encryption(url) == expected


async def test_a_certificate_that_does_not_fit_is_refused(encrypted, tmp_path):
    server, trusted = encrypted
    other = tmp_path / "other.pem"
    other.write_text(Authority().pem)
    for query in (f"sslmode=verify-full&sslrootcert={trusted}", f"sslmode=verify-ca&sslrootcert={other}"):
        url = server.url("postgres").update_query_string(query)  # 127.0.0.1, and the certificate is for localhost
        assert "certificate verify failed" in await refusal(url, tmp_path)


async def test_tls_that_a_server_does_not_have_is_not_done_without(tmp_path):
    url = session_databases.server.url("postgres").update_query_string("sslmode=require")
    assert "SSL" in await refusal(url, tmp_path)


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A pg_dump that writes down how it was called, then fails."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "pg_dump"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/arguments\nenv >{tmp_path}/environment\nexit 3\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PGHOST", "elsewhere")
    return tmp_path


async def test_pg_dump_gets_the_password_by_its_environment_alone(recorded):
    url = address(5433, "?sslmode=verify-full&sslrootcert=/ca.pem")
    with pytest.raises(StartError, match=r"pg_dump failed.*Nothing was\s+changed"):
        await dump(url, recorded / "copy")
    assert "s3cr3t" not in (recorded / "arguments").read_text()
    environment = dict(line.split("=", 1) for line in (recorded / "environment").read_text().splitlines())
    assert environment.items() >= {
        "PGPASSWORD": PASSWORD, "PGHOST": "127.0.0.1", "PGPORT": "5433", "PGUSER": "pepe", "PGDATABASE": "fleet",
        "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/ca.pem",
    }.items()  # fmt: skip
    assert {path.name for path in recorded.iterdir()} == {"bin", "arguments", "environment"}


async def test_without_pg_dump_the_command_that_installs_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartError, match=r"Nothing was changed.*apt-get install postgresql-client"):
        await dump(address(5432), tmp_path / "copy")
    assert shutil.which("pg_dump") is None


async def test_what_pg_dump_says_is_told_without_the_password(tmp_path):
    with pytest.raises(StartError, match="Connection refused") as caught:
        await dump(address(free_port()), tmp_path / "copy")
    assert "s3cr3t" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_only_what_an_address_says_is_handed_to_pg_dump():
    assert dump_environment(make_url("postgresql:///fleet?host=/run/postgresql")) == {
        "PGHOST": "/run/postgresql", "PGDATABASE": "fleet", "PGCONNECT_TIMEOUT": "10",
    }  # fmt: skip
