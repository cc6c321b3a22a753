"""`pepeunit gateway …`: the operator's command. Source: decisions.md 19, 20 and 27."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop

from pepeunit_gateway import __version__
from pepeunit_gateway.app import Gateway, open_registry, settle_keys
from pepeunit_gateway.errors import PepeunitError
from pepeunit_gateway.jobs.cleanup import clean_up
from pepeunit_gateway.logs import configure_logs
from pepeunit_gateway.registry.job_runs import Report
from pepeunit_gateway.registry.moves import LateUnit
from pepeunit_gateway.settings import Settings, read_settings, unknown_variables
from pepeunit_gateway.storage.addresses import local_address
from pepeunit_gateway.storage.data_folder import make_folder, prepare_folder
from pepeunit_gateway.storage.database_place import check_place, place_of, require_gateway
from pepeunit_gateway.storage.kept_secrets import drop_previous_key, rotate_secret_key

__all__ = ["main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run and operate a Pepeunit gateway.",
)
user = typer.Typer(no_args_is_help=True, help="Users of this gateway.")
app.add_typer(user, name="user")

log = structlog.get_logger(__name__)

_EXIT_REFUSED = 1


def main(argv: list[str]) -> int:
    """Run the command with `argv` (without the group's name) and return its exit code."""
    os.umask(0o077)  # the database, its journal and the mirrors are nobody else's
    try:
        app(argv, prog_name="pepeunit gateway")
    except PepeunitError as error:
        print(f"pepeunit gateway: {error.message}", file=sys.stderr)  # noqa: T201 - the command's own voice
        return _EXIT_REFUSED
    except SystemExit as ending:  # how typer ends every command
        return ending.code if isinstance(ending.code, int) else 0
    return 0


def _settings() -> Settings:
    """Read the settings, and name in one warning what is set without effect."""
    folder = Path.cwd()
    settings = read_settings(os.environ, folder)
    configure_logs(settings.log_format, settings.min_log_level)
    if unknown := unknown_variables(os.environ, folder):
        log.warning("settings.unknown", variables=unknown, hint="these have no effect in this version")
    return settings


def _is_new(folder: Path) -> bool:
    try:
        return not any(folder.iterdir())
    except FileNotFoundError:
        return True
    except OSError:  # whoever uses the folder says what is wrong with it
        return False


def _operator_settings() -> Settings:
    """Read the settings of a command beside `run`: on the folder's own database, and a new folder is told.

    Raises:
        StartError: the data folder goes with another database.
    """
    settings = _settings()
    check_place(settings)
    if _is_new(settings.data_dir):
        note = f"the data folder {settings.data_dir} is made now; PU_DATA_DIR names another one"
        typer.echo(f"pepeunit gateway: {note}", err=True)
    return settings


def _settings_in_use() -> Settings:
    """Read the settings of a command that makes no gateway: on one that has been there before.

    Raises:
        StartError: there is none, or the data folder goes with another database.
    """
    settings = _settings()
    check_place(settings)
    require_gateway(settings)
    return settings


@app.command()
def run() -> None:
    """Start the gateway; Ctrl-C stops it and everything it started."""
    settings = _settings()
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Gateway(settings) as gateway:
        print(await _start_block(gateway, settings), flush=True)  # noqa: T201 - the block is for the person who started it
        await stop.wait()
    log.info("gateway.stopped")


async def _start_block(gateway: Gateway, given: Settings) -> str:
    """Say where everything is and what to do next; `given` are the settings before anything was filled in."""
    settings = gateway.settings
    here = f"{'http' if settings.tls_cert is None else 'https'}://{_reachable(settings.http_host)}:{settings.http_port}"
    lines = [
        f"Pepeunit {__version__} is running; Ctrl-C stops it",
        f"  API          {here}{settings.api_prefix}",
        f"  OpenAPI      {here}{settings.app_prefix}/docs",
        f"  MQTT         {_reachable(settings.listen_host_mqtt)}:{settings.mqtt_port}",
        f"  Data         {settings.data_dir}",
        *_database_lines(gateway),
    ]
    told = (f"{settings.http_type}://{settings.domain}", settings.mqtt_host)
    if told != (here, _reachable(settings.listen_host_mqtt)):
        lines.append(f"  Devices are told {told[0]} and MQTT {told[1]}:{settings.mqtt_port}")
    if gateway.late_units:
        lines += [
            f"  {gateway.late_units} units use a previous PU_DOMAIN and are heard there; to list and move them:",
            f"    {_command(settings)} gateway late-units [--call]",
        ]
    if not await gateway.registry.users.admin_exists():
        lines.append(f"  First Admin  {_command(settings)} gateway user create-admin --login NAME")
        lines += [f"               with {names}" for names in _set_beside(given)]
    if _is_loopback(settings.http_host):
        lines += [
            "  Devices on the network cannot reach it yet; to open it, start it with these, or with these in .env:",
            f"    {' '.join(_opening(settings, given))}",
        ]
    return "\n".join(lines)


def _database_lines(gateway: Gateway) -> list[str]:
    place, before = place_of(gateway.settings), gateway.previous_database
    lines = [] if place.is_own_file and before is None else [f"  Database     {place.text}"]
    if before is not None:
        lines.append(f"  This data folder went with the {before.text} until now; nothing is copied from there")
    return lines


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host in ("localhost", "::1")


def _opening(settings: Settings, given: Settings) -> list[str]:
    """Return the variables that let devices in, without those that somebody has chosen already."""
    address = local_address()
    variables = ["PU_HTTP_HOST=0.0.0.0"]
    if not given.domain and _is_loopback(settings.domain.partition(":")[0]):
        variables.append(f"PU_DOMAIN={address}:{settings.http_port}")
    if not given.mqtt_host and _is_loopback(settings.mqtt_host):
        variables.append(f"PU_MQTT_HOST={address}")
    return variables


def _set_beside(given: Settings) -> list[str]:
    """Return one line that says which variables a command needs beside PU_DATA_DIR, or none; never a value."""
    needed = ("sqlalchemy_database_url", "encrypt_key", "secret_key")
    names = [f"PU_{name.upper()}" for name in needed if getattr(given, name).get_secret_value()]
    return [f"{', '.join(names)} set as for this gateway (environment or .env)"] if names else []


def _reachable(host: str) -> str:
    """Return an address at which this machine answers when it listens on `host`."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - recognised here, not bound
        return local_address()
    return f"[{host}]" if ":" in host else host


def _command(settings: Settings) -> str:
    """Return how to call this program on the same data folder from another terminal."""
    return f"PU_DATA_DIR={settings.data_dir} {Path(sys.argv[0]).resolve()}"


@user.command("create-admin")
def create_admin(
    login: Annotated[str, typer.Option(help="4 to 20 letters, digits and the characters _ - .")],
    *,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
) -> None:
    """Create an Admin; asks for the password. Works beside a running gateway on the same PU_DATA_DIR."""
    if not password_stdin and not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask for the password; use --password-stdin")
    settings = _operator_settings()
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)

    async def create() -> str:
        async with open_registry(settings) as registry:
            return str((await registry.users.create_admin(login, password)).uuid)

    uuid = asyncio.run(create())
    place = place_of(settings)
    database = "" if place.is_own_file else f", database {place.text}"
    typer.echo(f"Admin {login} is made in the data folder {settings.data_dir.absolute()}{database}", err=True)
    typer.echo(uuid)


@app.command()
def config() -> None:
    """Print the effective settings, secrets masked."""
    settings = prepare_folder(_operator_settings())
    values = settings.model_dump(mode="json")
    typer.echo(json.dumps({f"PU_{name.upper()}": value for name, value in sorted(values.items())}, indent=2))


@app.command("rotate-secret-key")
def rotate_key(
    *,
    drop_previous: Annotated[bool, typer.Option("--drop-previous", help="Forget the key before, at the end.")] = False,
) -> None:
    """Replace the generated key that signs tokens; what the old one signed stays valid until --drop-previous."""
    settings = _settings_in_use()
    make_folder(settings)
    if drop_previous:
        asyncio.run(settle_keys(settings))  # else a start that never saw both keys would not know the new one
        drop_previous_key(settings)
        typer.echo(
            "The previous key is dropped. Restart the gateway: then every token that it signed is refused. People log "
            "in again; a unit that did not fetch its new env.json needs it by hand."
        )
        return
    rotate_secret_key(settings)
    typer.echo(
        "The key is replaced; what the old one signed is valid beside the new.\n"
        "  1. Restart the gateway: it signs with the new key from then on.\n"
        "  2. Let every unit fetch its env.json, which carries the new token: by the command EnvUpdate, or by hand.\n"
        f"     People get new tokens when they log in, within {settings.auth_token_expiration // 86_400} days; named "
        "tokens are made anew.\n"
        f"  3. {_command(settings)} gateway rotate-secret-key --drop-previous\n"
        f"{''.join(f'     with {names}{chr(10)}' for names in _set_beside(settings))}"
        "     and restart again."
    )


@app.command("late-units")
def late_units(
    *,
    call: Annotated[bool, typer.Option("--call", help="Command them to fetch schema.json, and then env.json.")] = False,
) -> None:
    """List the units that still use a previous PU_DOMAIN. Works beside a running gateway on the same PU_DATA_DIR."""

    async def look() -> tuple[list[LateUnit], int]:
        async with open_registry(_settings_in_use()) as registry:
            commanded = await registry.moves.call() if call else 0
            return await registry.moves.late(), commanded

    late, commanded = asyncio.run(look())
    for unit in late:
        typer.echo(f"{unit.uuid}  {unit.name}  {unit.told_domain}")
    if not late:
        typer.echo("Every unit uses the topics of the present PU_DOMAIN; each was told to fetch its env.json", err=True)
    elif call:
        others = "" if commanded == len(late) else "; the programs of the others do not know SchemaUpdate"
        typer.echo(f"{commanded} of {len(late)} are commanded{others}", err=True)


@app.command("cleanup")
def free_disk() -> None:
    """Free disk in the data folder, as the job cleanup does. Works beside a running gateway on the same PU_DATA_DIR."""

    async def clean() -> Report:
        async with open_registry(_settings_in_use()) as registry:
            return await clean_up(registry.context)

    for name, count in asyncio.run(clean()).done.items():
        typer.echo(f"{name.replace('_', ' ')}: {count}")


@app.command("accept-keys")
def take_keys() -> None:
    """Let the present keys be those of the database, where those it was written with are lost for good."""
    asyncio.run(settle_keys(_operator_settings(), whatever_it_was=True))
    typer.echo(
        "The present PU_ENCRYPT_KEY and PU_SECRET_KEY are those of the database now. What was encrypted with another "
        "key stays unreadable and is entered anew: the env of units, credentials of repositories. Tokens that another "
        "key signed are refused: people log in again, units need their new env.json by hand."
    )
