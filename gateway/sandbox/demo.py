"""Demo mode: the gateway as it is, with stand-ins for the providers and an invented shop, on this machine alone.

All that it needs is kept in its data folder. Killed and started again, it goes on where it was: the same addresses and
secrets, what the stand-ins took, what was waiting to be sent.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp

from config.settings import Settings, SettingsError, load_demo_settings
from gateway.app import open_gateway, prepare_schema
from gateway.domain.agent import Scope
from gateway.folder import DataFolder, Mode, keep_secret_key
from gateway.log import configure_logging
from gateway.sandbox.customer_side import CustomerSide, Shopfront
from gateway.sandbox.keepsakes import (
    HOST,
    Keepsakes,
    PortTaken,
    choose_ports,
    find_obstacle,
    is_loopback,
    load_keepsakes,
    make_keepsakes,
    save_keepsakes,
)
from gateway.sandbox.pages import SandboxPages
from gateway.sandbox.seed import Access, SeedRefused, SeedToken, is_seeded, seed_shop
from gateway.sandbox.shop import ADMIN, COLLEAGUES, SHOP_EMAIL, SHOP_NAME, SHOP_SMS, SHOP_WHATSAPP
from gateway.sandbox.smtp import SmtpPeer
from gateway.sandbox.twilio import TwilioStandIn
from gateway.sandbox.twilio_callbacks import CallbackMode
from gateway.services.passwords import Passwords
from gateway.web.twilio import MESSAGES_PATH
from storage.database import open_database
from storage.live.memory import MemoryBus

T = TypeVar("T")

_FOLDER = "./var/demo"
_ACCOUNT_SID = "AC" + "de30" * 8
_LISTEN, _RECEIVER = "GATEWAY_HTTP__LISTEN", "GATEWAY_EMAIL__LISTEN"
STAND_INS = _TWILIO, _PEER = "the Twilio stand-in", "the mail server"
# What listens where, unless the environment or a taken port says otherwise.
_PORTS = {_LISTEN: 8080, _RECEIVER: 2525, _TWILIO: 8081, _PEER: 2526}


async def run_demo(environ: Mapping[str, str], stop: asyncio.Event) -> None:
    """Serve until `stop` is set; print how to get in once it can be used.

    Raises:
        SettingsError: the environment asks for something that a demo doesn't do, or is wrong.
        FolderRefused: the data folder is the real gateway's, or in use.
        PortTaken: a port that the environment asks for is.
        SeedRefused: the database holds something else.
    """
    given = _given(environ)
    folder = _folder_of(given)
    with DataFolder(folder, Mode.DEMO, is_exclusive=True):
        known = load_keepsakes(folder)
        asked = {name: port for name in (_LISTEN, _RECEIVER) if (port := _port_of(given.get(name))) is not None}
        defaults = {name: port for name, port in _PORTS.items() if name not in asked}
        kept, remarks = choose_ports(known or make_keepsakes(), defaults, asked.values())
        settings = load_demo_settings(
            given, keep_secret_key=keep_secret_key, sandbox={**_sandbox(kept), "GATEWAY_DATA_DIR": str(folder)}
        )
        _require_this_machine(settings)
        _require_free_ports(settings, asked)
        save_keepsakes(folder, kept)
        configure_logging(level=settings.log.level, is_json=settings.log.format == "json")
        await _prepare_database(settings, kept, is_new=known is None)
        await _serve(settings, kept, remarks, stop)


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the environment sets; to listen on port 0 asks for a free one, which is for us to find and keep."""
    set_here = {name: value.strip() for name, value in environ.items() if value.strip()}
    return {name: value for name, value in set_here.items() if name not in (_LISTEN, _RECEIVER) or _port_of(value) != 0}


def _folder_of(given: Mapping[str, str]) -> Path:
    return Path(given.get("GATEWAY_DATA_DIR", _FOLDER)).absolute()


def _port_of(listen: str | None) -> int | None:
    port = (listen or "").rpartition(":")[2]
    return int(port) if port.isdecimal() else None


def _sandbox(kept: Keepsakes) -> dict[str, str]:
    """Return what the gateway must know of the stand-ins, under the names of the settings."""
    listens = {name: f"{HOST}:{kept.ports[name]}" for name in (_LISTEN, _RECEIVER) if name in kept.ports}
    return {
        **listens,
        "GATEWAY_TWILIO__ACCOUNT_SID": _ACCOUNT_SID,
        "GATEWAY_TWILIO__AUTH_TOKEN": kept.twilio_auth_token,
        "GATEWAY_TWILIO__SMS_FROM": SHOP_SMS,
        "GATEWAY_TWILIO__WHATSAPP_FROM": SHOP_WHATSAPP,
        "GATEWAY_TWILIO__API_URL": f"http://{HOST}:{kept.ports[_TWILIO]}",
        "GATEWAY_EMAIL__ADDRESS": SHOP_EMAIL,
        "GATEWAY_EMAIL__SENDER_NAME": SHOP_NAME,
        "GATEWAY_EMAIL__SMTP_URL": f"smtp://{HOST}:{kept.ports[_PEER]}",
        # Whoever can reach the receiver sits at this machine, and may play any customer.
        "GATEWAY_EMAIL__TRUSTED_RELAYS": "127.0.0.0/8,::1/128",
        "GATEWAY_WEBCHAT__IDENTITY_SECRET": kept.identity_secret,
    }


def _require_this_machine(settings: Settings) -> None:
    """A demo's passwords are printed, and its customers are invented: neither may meet the world."""
    problems = []
    places = ((_LISTEN, settings.http.listen), (_RECEIVER, settings.email.listen))
    for name, place in places:
        if place is not None and not is_loopback(place.host):
            problems.append(f"{name}: demo mode listens on this machine only, as {HOST}:{place.port}")
    email = settings.email
    urls = {
        "GATEWAY_TWILIO__API_URL": settings.twilio.api_url,
        "GATEWAY_EMAIL__SMTP_URL": email.smtp_url.get_secret_value() if email.smtp_url else "",
        "GATEWAY_EMAIL__IMAP_URL": email.imap_url.get_secret_value() if email.imap_url else "",
    }
    for name, url in urls.items():
        if url and not is_loopback(urlsplit(url).hostname or ""):
            problems.append(f"{name}: demo mode speaks to providers on this machine only")
    if problems:
        raise SettingsError(tuple(problems))


def _require_free_ports(settings: Settings, asked: Mapping[str, int]) -> None:
    for name, place in ((_LISTEN, settings.http.listen), (_RECEIVER, settings.email.listen)):
        if name in asked and place is not None and (obstacle := find_obstacle(place.host, place.port)) is not None:
            raise PortTaken(f"{name}: can't listen on {place.host}:{place.port} ({obstacle}). Set another port.")


async def _prepare_database(settings: Settings, kept: Keepsakes, *, is_new: bool) -> None:
    url = settings.database_url.get_secret_value()
    await prepare_schema(url)
    db = open_database(url, MemoryBus())
    try:
        if not await is_seeded(db):
            tokens = (
                SeedToken(name="demo", scope=Scope.API, secret=kept.api_token),
                SeedToken(name="demo admin", scope=Scope.ADMIN, secret=kept.admin_token),
            )
            access = Access(password_hash=await Passwords().hash(kept.password), tokens=tokens)
            await seed_shop(db, access, datetime.now(UTC))
        elif is_new:
            raise SeedRefused(
                "The database was seeded, but the demo's passwords are not in the data folder any more. "
                "Give demo mode an empty database, or remove the folder to begin anew."
            )
    finally:
        await db.close()


async def _serve(settings: Settings, kept: Keepsakes, remarks: Sequence[str], stop: asyncio.Event) -> None:
    stand_in = TwilioStandIn(
        account_sid=_known(settings.twilio.account_sid),
        auth_token=_known(settings.twilio.auth_token).get_secret_value(),
        messages_url=settings.http.public_url + MESSAGES_PATH,
        callbacks=CallbackMode.ORDERED,
        ledger=settings.data_dir / "twilio.jsonl",
    )
    peer = SmtpPeer(host=HOST, port=kept.ports[_PEER], ledger=settings.data_dir / "mail.jsonl")
    async with AsyncExitStack() as stack:
        twilio_url = await stack.enter_async_context(stand_in.serving(HOST, kept.ports[_TWILIO]))
        await stack.enter_async_context(peer)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        side = CustomerSide(front=_front(settings), twilio=stand_in, peer=peer, http=http)
        pages = SandboxPages(side, public_url=settings.http.public_url, twilio_url=twilio_url)
        gateway = await stack.enter_async_context(open_gateway(settings, others=pages.routes(), is_demo=True))
        ready = asyncio.Event()
        text = _describe(settings, kept, twilio_url=twilio_url, mail_url=peer.url, remarks=remarks)
        async with asyncio.TaskGroup() as tasks:
            starting = tasks.create_task(_go_on(ready, text, stand_in))
            await gateway.run(stop, ready=ready)
            starting.cancel()


def _front(settings: Settings) -> Shopfront:
    twilio, email, listen = settings.twilio, settings.email, settings.http.listen
    receiver = _known(email.listen)
    return Shopfront(
        email=_known(email.address),
        sms=_known(twilio.sms_from),
        whatsapp=_known(twilio.whatsapp_from),
        receiver=(receiver.host, receiver.port),
        chat_url=f"http://{listen.url_host}:{listen.port}",
        identity_secret=_known(settings.webchat.identity_secret).get_secret_value(),
        visitor_key=settings.secret_key.get_secret_value().encode(),
    )


def _known(value: T | None) -> T:
    """Return what the settings have, since the sandbox sets it where the environment does not."""
    assert value is not None  # noqa: S101
    return value


def _describe(settings: Settings, kept: Keepsakes, *, twilio_url: str, mail_url: str, remarks: Sequence[str]) -> str:
    url, receiver = settings.http.public_url, _known(settings.email.listen)
    rows = (
        ("Gateway", url),
        ("Log in as", f"{ADMIN.email}, or any of the {len(COLLEAGUES)} agents"),
        ("Password", kept.password),
        ("API token", kept.api_token),
        ("Admin token", kept.admin_token),
        ("", ""),
        ("Customers", f"{url}/sandbox"),
        ("Mail to the shop", f"{receiver.host}:{receiver.port}, for {settings.email.address}"),
        ("SMS, WhatsApp", url + MESSAGES_PATH),
        ("Twilio auth token", _known(settings.twilio.auth_token).get_secret_value()),
        ("Twilio stand-in", twilio_url),
        ("Mail server", f"{mail_url} keeps what the shop sends"),
    )
    lines = [f"{SHOP_NAME} is open: a shop that does not exist, on this machine alone.", ""]
    lines += [f"  {name:<19}{value}".rstrip() for name, value in rows]
    lines += ["", *remarks]
    lines += [f"What to try: README.md. Ctrl-C closes it; what happened stays in {settings.data_dir}.", ""]
    return "\n".join(("", *lines))


async def _go_on(ready: asyncio.Event, text: str, stand_in: TwilioStandIn) -> None:
    await ready.wait()
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    await stand_in.resume()
