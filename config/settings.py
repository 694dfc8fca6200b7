"""What a shop sets through the environment, or a `.env` file: typed, checked as a whole, secrets hidden.

A name is GATEWAY_ and the path of its field, with a double underscore between group and field. An empty value is as
good as none. Other rooms never see these classes: the composition root hands them plain values.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv.parser import parse_stream
from pydantic import BaseModel, ConfigDict, Field, FilePath, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from config.values import (
    AccountSid,
    DatabaseUrl,
    FilesUrl,
    Folder,
    HostPort,
    ImapUrl,
    Key,
    Line,
    Listen,
    Mailbox,
    Networks,
    Origins,
    PageUrl,
    RedisUrl,
    ServiceSid,
    SmsSender,
    SmtpUrl,
    Topics,
    WebUrl,
    WhatsAppSender,
    Word,
)

_PREFIX = "GATEWAY_"
Ask = Literal["off", "optional", "required"]
_MIB = 1024 * 1024


class SettingsError(Exception):
    """The settings are wrong; `problems` says everything that is, by name, and repeats no value."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("The settings are wrong:\n" + "\n".join(f"  {problem}" for problem in problems))
        self.problems = problems


def _setting(default: Any, meaning: str, *, shown: str | None = None, **limits: Any) -> Any:
    """Describe one setting; `shown` is what the README says of its default where the value itself says little."""
    return Field(default, description=meaning, json_schema_extra={"shown": shown}, **limits)


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)


def _listen_url(listen: HostPort) -> str:
    host = "localhost" if listen.host in {"0.0.0.0", "::"} else listen.url_host  # noqa: S104  it is only compared
    return f"http://{host}:{listen.port}"


class HttpSettings(_Group):
    listen: Listen = _setting("127.0.0.1:8080", "where the gateway serves HTTP and WebSockets")
    public_url: WebUrl = Field(
        default_factory=lambda values: _listen_url(values["listen"]),
        description="what providers call and sign, and what links begin with",
        json_schema_extra={"shown": "from listen"},
    )


class TwilioSettings(_Group):
    account_sid: AccountSid | None = _setting(None, "the account that sends and receives SMS and WhatsApp messages")
    auth_token: SecretStr | None = _setting(None, "signs the webhooks and opens the message API")
    sms_from: SmsSender | None = _setting(None, "the number that SMS are sent from")
    messaging_service_sid: ServiceSid | None = _setting(
        None, "a messaging service that picks the number, instead of it"
    )
    whatsapp_from: WhatsAppSender | None = _setting(None, "the number that WhatsApp messages are sent from")
    api_url: WebUrl = _setting("https://api.twilio.com", "the message API, so that a stand-in can take its place")


class EmailSettings(_Group):
    address: Mailbox | None = _setting(None, "the shop's service address")
    sender_name: Line | None = _setting(None, "the name beside that address")
    smtp_url: SmtpUrl | None = _setting(None, "outbound: `smtp://user:pass@host:port`, `smtps://`, `smtp+starttls://`")
    listen: Listen | None = _setting(None, "inbound SMTP receiver, `host:port`")
    starttls_cert: FilePath | None = _setting(None, "the receiver's certificate chain (PEM): it then offers STARTTLS")
    starttls_key: FilePath | None = _setting(None, "the receiver's private key (PEM)")
    imap_url: ImapUrl | None = _setting(
        None, "inbound mailbox: `imap://user:pass@host:port/INBOX`, `imaps://`; not served yet: the start refuses it"
    )
    max_bytes: int = _setting(25 * _MIB, "the largest mail taken in", shown="25 MiB", ge=64 * 1024)
    trusted_relays: Networks = _setting(
        (), "networks whose SMTP servers have checked SPF, DKIM and DMARC for us, with commas between", shown="none"
    )
    authserv_id: Word | None = _setting(None, "the name under which they write `Authentication-Results` (RFC 8601)")


class WebchatSettings(_Group):
    allowed_origins: Origins = _setting(
        (), "the sites that may show the widget, with commas between", shown="public URL"
    )
    identity_secret: Key | None = _setting(None, "signs the shop's customer identity (JWT HS256, RFC 7518: 32 bytes)")
    identity_audience: Line | None = _setting(None, "the `aud` that an identity must name", shown="none: any")
    shop_name: Line | None = _setting(
        None, "whose chat it is, for visitors", shown="the e-mail sender's name, or Customer service"
    )
    ask_topic: Ask = _setting("optional", "what a visitor is asked before the chat: `off`, `optional` or `required`")
    ask_name: Ask = _setting("optional", "the same of their name")
    ask_email: Ask = _setting("optional", "the same of their e-mail address: answers go there when they have left")
    topics: Topics = _setting(
        ("order.status", "delivery.tracking", "return.start", "refund.progress", "presales.usage", "other"),
        "the topics they choose from, by id, with commas between",
        shown="the six most asked",
    )
    privacy_url: PageUrl | None = _setting(None, "the shop's privacy notice, linked in the chat")
    answers_within_min: int | None = _setting(None, "minutes in which an answer mostly comes, said in the chat", ge=1)
    hand_over_s: float = _setting(
        120, "after which an answer that the visitor did not take goes out by e-mail, or by SMS", gt=0
    )


class FilesSettings(_Group):
    url: FilesUrl | None = _setting(
        None,
        "where attachments are kept: a folder, or `s3://bucket/prefix` with the usual `AWS_…` variables",
        shown="`files` in the data dir",
    )
    max_bytes: int = _setting(20 * _MIB, "the largest attachment", shown="20 MiB", ge=1024)


class LogSettings(_Group):
    level: Literal["debug", "info", "warning", "error"] = _setting("info", "debug, info, warning or error")
    format: Literal["json", "console"] = _setting("json", "json, or console for people")


class DeliverySettings(_Group):
    lease_s: float = _setting(60, "how long a worker may hold a message before another takes it over", gt=0)
    callback_wait_s: float = _setting(60, "how long an attempt in doubt waits for a report of the provider", gt=0)
    relist_s: float = _setting(300, "time between the two looks for an attempt in doubt at the provider", gt=0)
    max_attempts: int = _setting(8, "attempts at a message before it counts as failed", ge=1, le=100)
    concurrency: int = _setting(128, "messages being sent at the same time, in one process", ge=1, le=1000)


class Settings(_Group):
    """Everything that can be set; made by `load_settings`."""

    data_dir: Folder = _setting("./var", "database, spool, files")
    database_url: DatabaseUrl = Field(
        default_factory=lambda values: SecretStr(f"sqlite:///{values['data_dir'] / 'gateway.sqlite'}"),
        description="`postgresql://…` for cluster mode, `sqlite:///…`",
        json_schema_extra={"shown": "SQLite in the data dir"},
    )
    redis_url: RedisUrl | None = _setting(None, "the live bus of several processes", shown="empty: in-process")
    secret_key: Key = Field(
        description="signs links and chat visitors; at least 32 characters",
        json_schema_extra={"shown": "none: must be set, except in demo mode"},
    )
    http: HttpSettings = Field(default_factory=HttpSettings)
    twilio: TwilioSettings = Field(default_factory=TwilioSettings)
    email: EmailSettings = Field(default_factory=EmailSettings)
    webchat: WebchatSettings = Field(default_factory=WebchatSettings)
    files: FilesSettings = Field(default_factory=FilesSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    delivery: DeliverySettings = Field(default_factory=DeliverySettings)

    @property
    def files_url(self) -> str:
        """Where attachments are kept, as `file:///…` or `s3://…`."""
        return self.files.url or (self.data_dir / "files").as_uri()

    @property
    def shop_name(self) -> str:
        """Whose chat it is, for visitors."""
        return self.webchat.shop_name or self.email.sender_name or "Customer service"

    @property
    def chat_origins(self) -> tuple[str, ...]:
        """The origins that may show the widget."""
        parts = urlsplit(self.http.public_url)
        return self.webchat.allowed_origins or (f"{parts.scheme}://{parts.netloc}".lower(),)


def load_settings(environ: Mapping[str, str], env_file: Path | None = None) -> Settings:
    """Read the settings; what `environ` has goes before `env_file`, which need not exist.

    Raises:
        SettingsError: with all that is wrong, unknown, missing or still a placeholder.
    """
    values, problems = _read_file(env_file)
    return _build(values | dict(environ), problems)


def load_demo_settings(
    environ: Mapping[str, str], *, keep_secret_key: Callable[[Path], str], sandbox: Mapping[str, str]
) -> Settings:
    """Read the settings of demo mode: `sandbox` has what the stand-ins need, under the names of the settings.

    What `environ` sets goes first. A `.env` file is not read, since it configures the real gateway: a demo must not
    write to its database, let alone to its customers. `keep_secret_key` is asked for a key that stays the same, kept
    in the data folder, when none is set.

    Raises:
        SettingsError: as `load_settings`.
    """
    given = {name: value for name, value in environ.items() if value.strip()}
    values = {"GATEWAY_DATA_DIR": "./var/demo", "GATEWAY_LOG__FORMAT": "console", **sandbox, **given}
    if "GATEWAY_SECRET_KEY" not in values:
        values["GATEWAY_SECRET_KEY"] = keep_secret_key(Path(values["GATEWAY_DATA_DIR"]).absolute())
    return _build(values)


def settings_table() -> str:
    """Return the README's table of all settings, as Markdown."""
    rows = [f"| `{name}` | {_shown_default(field)} | {field.description} |" for name, _, field in _fields()]
    return "\n".join(["| name | default | |", "| --- | --- | --- |", *rows])


def _shown_default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    shown = extra.get("shown") if isinstance(extra, dict) else None
    return str(shown) if shown else "none" if field.default is None else f"`{field.default}`"


def _fields() -> Iterator[tuple[str, tuple[str, ...], FieldInfo]]:
    """Yield each setting: its name in the environment, its path in `Settings`, its field."""
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for inner, inner_field in field.annotation.model_fields.items():
                yield f"{_PREFIX}{name}__{inner}".upper(), (name, inner), inner_field
        else:
            yield f"{_PREFIX}{name}".upper(), (name,), field


def _read_file(env_file: Path | None) -> tuple[dict[str, str], list[str]]:
    """Return what the file sets, and which of its lines can't be read."""
    if env_file is None or not env_file.exists():
        return {}, []
    values, problems = {}, []
    with env_file.open(encoding="utf-8", errors="replace") as file:
        for binding in parse_stream(file):
            if binding.error:
                problems.append(f"{env_file.name}, line {binding.original.line}: can't be read")
            elif binding.key is not None:
                values[binding.key] = binding.value or ""
    return values, problems


def _build(values: Mapping[str, str], problems_so_far: Sequence[str] = ()) -> Settings:
    ours = {name: value.strip() for name, value in values.items() if name.upper().startswith(_PREFIX)}
    given = {name: value for name, value in ours.items() if value}
    problems = [
        *problems_so_far,
        *_find_unknown(ours),
        *_find_placeholders(given),
        *_find_incomplete(given),
        *_find_unserved(given),
    ]
    tree: dict[str, Any] = {}
    for name, path, _ in _fields():
        if name in given:
            folder = tree if len(path) == 1 else tree.setdefault(path[0], {})
            folder[path[-1]] = given[name]
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(tuple(problems + _describe(error))) from None
    if problems:
        raise SettingsError(tuple(problems))
    return settings


def _describe(error: ValidationError) -> list[str]:
    names = {path: name for name, path, _ in _fields()}
    problems = []
    for mistake in error.errors(include_url=False, include_context=False, include_input=False):
        path = tuple(str(step) for step in mistake["loc"])
        name = names.get(path[:2]) or names.get(path[:1])
        # A default that is made from another setting fails with that one, which is reported already.
        if name is not None and mistake["type"] != "default_factory_not_called":
            reason = "must be set" if mistake["type"] == "missing" else mistake["msg"].removeprefix("Value error, ")
            problems.append(f"{name}: {reason}")
    return list(dict.fromkeys(problems))


def _find_unknown(ours: Mapping[str, str]) -> Iterator[str]:
    known = [name for name, _, _ in _fields()]
    for name in sorted(set(ours) - set(known)):
        close = difflib.get_close_matches(name.upper(), known, n=1)
        yield f"{name}: there is no such setting" + (f"; is {close[0]} meant?" if close else "")


_PLACEHOLDER = re.compile(
    r"change[-_ ]?(me|it|this)|secret|pass(word|wd)?|x{3,}|to[-_ ]?do|fix[-_ ]?me|placeholder|replace[-_ ]?me"
    r"|your[-_ ].*|<.*>|\.{3}|…",
    re.IGNORECASE,
)


def _find_placeholders(given: Mapping[str, str]) -> Iterator[str]:
    for name, value in sorted(given.items()):
        password = re.search(r"//[^/@]*:([^/@]*)@", value)
        if any(_PLACEHOLDER.fullmatch(text) for text in (value, password[1] if password else "")):
            yield f"{name}: is still a placeholder"


# What is set, and what it needs beside it.
_NEEDS = {
    "GATEWAY_TWILIO__ACCOUNT_SID": ("GATEWAY_TWILIO__AUTH_TOKEN",),
    "GATEWAY_TWILIO__AUTH_TOKEN": ("GATEWAY_TWILIO__ACCOUNT_SID",),
    "GATEWAY_TWILIO__SMS_FROM": ("GATEWAY_TWILIO__ACCOUNT_SID",),
    "GATEWAY_TWILIO__MESSAGING_SERVICE_SID": ("GATEWAY_TWILIO__ACCOUNT_SID",),
    "GATEWAY_TWILIO__WHATSAPP_FROM": ("GATEWAY_TWILIO__ACCOUNT_SID",),
    "GATEWAY_EMAIL__SMTP_URL": ("GATEWAY_EMAIL__ADDRESS",),
    "GATEWAY_EMAIL__LISTEN": ("GATEWAY_EMAIL__ADDRESS",),
    "GATEWAY_EMAIL__IMAP_URL": ("GATEWAY_EMAIL__ADDRESS",),
    "GATEWAY_EMAIL__SENDER_NAME": ("GATEWAY_EMAIL__ADDRESS",),
    "GATEWAY_EMAIL__STARTTLS_CERT": ("GATEWAY_EMAIL__STARTTLS_KEY", "GATEWAY_EMAIL__LISTEN"),
    "GATEWAY_EMAIL__STARTTLS_KEY": ("GATEWAY_EMAIL__STARTTLS_CERT",),
    "GATEWAY_EMAIL__AUTHSERV_ID": ("GATEWAY_EMAIL__TRUSTED_RELAYS",),
    "GATEWAY_WEBCHAT__IDENTITY_AUDIENCE": ("GATEWAY_WEBCHAT__IDENTITY_SECRET",),
}


def _find_incomplete(given: Mapping[str, str]) -> Iterator[str]:
    for name, needed in _NEEDS.items():
        for other in needed:
            if name in given and other not in given:
                yield f"{other}: must be set, since {name} is"


# In the interface, checked, and refused: what is set must have an effect.
_UNSERVED = {
    "GATEWAY_EMAIL__IMAP_URL": "mailboxes are not read by IMAP yet; GATEWAY_EMAIL__LISTEN takes mail in by SMTP"
}


def _find_unserved(given: Mapping[str, str]) -> Iterator[str]:
    for name, reason in _UNSERVED.items():
        if name in given:
            yield f"{name}: {reason}"
