"""Settings: each one has its effect, everything wrong is said at once, and no secret is ever repeated."""

from pathlib import Path

import pytest

from config.settings import Settings, SettingsError, load_demo_settings, load_settings, settings_table
from config.values import HostPort

README = Path(__file__).parents[2] / "README.md"
KEY = "0f3c5a7e9b1d2f4a6c8e0b2d4f6a8c0e"
SID = "AC00000000000000000000000000000001"
TWILIO = {"GATEWAY_TWILIO__ACCOUNT_SID": SID, "GATEWAY_TWILIO__AUTH_TOKEN": "a-twilio-token"}
MAILBOX = {"GATEWAY_EMAIL__ADDRESS": "care@shop.example"}
RELAYS = {"GATEWAY_EMAIL__TRUSTED_RELAYS": "192.0.2.0/24,2001:db8::/32", "GATEWAY_EMAIL__AUTHSERV_ID": "mx.example"}


def load(**values: str) -> Settings:
    return load_settings({"GATEWAY_SECRET_KEY": KEY, **values})


def problems_of(**values: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(**values)
    return caught.value.problems


def read(settings: Settings, path: str) -> object:
    value: object = settings
    for step in path.split("."):
        value = getattr(value, step)
    reveal = getattr(value, "get_secret_value", None)
    return reveal() if reveal else value


@pytest.mark.parametrize(
    ("path", "value", "expected", "others"),
    [
        ("data_dir", "/srv/gateway", Path("/srv/gateway"), {}),
        ("database_url", "postgresql://u@db/x", "postgresql+asyncpg://u@db/x", {}),
        ("database_url", "postgresql+asyncpg://u@db/x", "postgresql+asyncpg://u@db/x", {}),
        ("database_url", "sqlite:////srv/x.sqlite", "sqlite+aiosqlite:////srv/x.sqlite", {}),
        ("redis_url", "redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0", {}),
        ("secret_key", KEY[::-1], KEY[::-1], {}),
        ("http.listen", "[::1]:9000", HostPort(host="::1", port=9000), {}),
        ("http.public_url", "https://care.example/gateway/", "https://care.example/gateway", {}),
        ("twilio.account_sid", SID, SID, TWILIO),
        ("twilio.auth_token", "another-token", "another-token", TWILIO),
        ("twilio.sms_from", "+15005550006", "+15005550006", TWILIO),
        ("twilio.messaging_service_sid", "MG0001", "MG0001", TWILIO),
        ("twilio.whatsapp_from", "whatsapp:+15005550006", "+15005550006", TWILIO),
        ("twilio.api_url", "http://127.0.0.1:9999", "http://127.0.0.1:9999", {}),
        ("email.address", "help@shop.example", "help@shop.example", {}),
        ("email.sender_name", "Shop care", "Shop care", MAILBOX),
        ("email.smtp_url", "smtp+starttls://u:p%40@mx.example:587", "smtp+starttls://u:p%40@mx.example:587", MAILBOX),
        ("email.listen", "0.0.0.0:2525", HostPort(host="0.0.0.0", port=2525), MAILBOX),
        ("email.max_bytes", "1000000", 1_000_000, {}),
        ("email.trusted_relays", "192.0.2.0/24, 2001:db8::/32", ("192.0.2.0/24", "2001:db8::/32"), RELAYS),
        ("email.authserv_id", "mx.example", "mx.example", RELAYS),
        ("webchat.allowed_origins", "https://a.example, https://B.example:444", None, {}),
        ("webchat.identity_secret", KEY, KEY, {}),
        ("webchat.identity_audience", "shop-desk", "shop-desk", {"GATEWAY_WEBCHAT__IDENTITY_SECRET": KEY}),
        ("webchat.shop_name", "Calm Shop", "Calm Shop", {}),
        ("webchat.ask_topic", "off", "off", {}),
        ("webchat.ask_name", "required", "required", {}),
        ("webchat.ask_email", "required", "required", {}),
        ("webchat.topics", "return.start, other", ("return.start", "other"), {}),
        ("webchat.privacy_url", "https://shop.example/privacy?a#chat", "https://shop.example/privacy?a#chat", {}),
        ("webchat.answers_within_min", "5", 5, {}),
        ("webchat.hand_over_s", "2.5", 2.5, {}),
        ("files.url", "/srv/files", "file:///srv/files", {}),
        ("files.url", "s3://bucket/prefix", "s3://bucket/prefix", {}),
        ("files.max_bytes", "2048", 2048, {}),
        ("log.level", "warning", "warning", {}),
        ("log.format", "console", "console", {}),
        ("delivery.lease_s", "1.5", 1.5, {}),
        ("delivery.callback_wait_s", "2", 2, {}),
        ("delivery.relist_s", "3", 3, {}),
        ("delivery.max_attempts", "4", 4, {}),
        ("delivery.concurrency", "5", 5, {}),
    ],
)
def test_each_setting_is_read_under_its_name(path: str, value: str, expected: object, others: dict[str, str]) -> None:
    name = "GATEWAY_" + path.replace(".", "__").upper()
    got = read(load(**{**others, name: value}), path)
    assert got == (("https://a.example", "https://b.example:444") if expected is None else expected)


def test_certificate_and_key_of_the_receiver_are_files(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.touch()
    key.touch()
    values = {
        "GATEWAY_EMAIL__STARTTLS_CERT": str(cert),
        "GATEWAY_EMAIL__STARTTLS_KEY": str(key),
        "GATEWAY_EMAIL__LISTEN": "127.0.0.1:2525",
        **MAILBOX,
    }
    settings = load(**values)
    assert (settings.email.starttls_cert, settings.email.starttls_key) == (cert, key)
    key.unlink()
    assert problems_of(**values) == ("GATEWAY_EMAIL__STARTTLS_KEY: Path does not point to a file",)


def test_defaults_follow_from_what_is_set() -> None:
    settings = load(GATEWAY_DATA_DIR="/srv/gateway", GATEWAY_HTTP__LISTEN="0.0.0.0:9000")
    assert settings.database_url.get_secret_value() == "sqlite+aiosqlite:////srv/gateway/gateway.sqlite"
    assert settings.files_url == "file:///srv/gateway/files"
    assert settings.http.public_url == "http://localhost:9000"
    assert settings.chat_origins == ("http://localhost:9000",)
    assert load(GATEWAY_HTTP__PUBLIC_URL="https://Care.example/x").chat_origins == ("https://care.example",)
    assert load(GATEWAY_WEBCHAT__ALLOWED_ORIGINS="https://a.example").chat_origins == ("https://a.example",)


def test_an_empty_value_is_as_good_as_none() -> None:
    assert load(GATEWAY_REDIS_URL="", GATEWAY_LOG__LEVEL=" ") == load()


def test_everything_wrong_is_said_at_once_by_name() -> None:
    problems = problems_of(
        GATEWAY_SECRET_KEY="changeme",
        GATEWAY_DATA_DRI="/srv",
        GATEWAY_HTTP__LISTEN="8080",
        GATEWAY_LOG__FORMAT="xml",
        GATEWAY_DELIVERY__MAX_ATTEMPTS="0",
        GATEWAY_TWILIO__ACCOUNT_SID=SID,
        GATEWAY_EMAIL__SMTP_URL="smtp://u:xxxx@mx.example",
    )
    assert set(problems) == {
        "GATEWAY_SECRET_KEY: is still a placeholder",
        "GATEWAY_SECRET_KEY: must have at least 32 characters (`openssl rand -hex 32` makes one)",
        "GATEWAY_DATA_DRI: there is no such setting; is GATEWAY_DATA_DIR meant?",
        "GATEWAY_HTTP__LISTEN: must be host:port",
        "GATEWAY_LOG__FORMAT: Input should be 'json' or 'console'",
        "GATEWAY_DELIVERY__MAX_ATTEMPTS: Input should be greater than or equal to 1",
        "GATEWAY_TWILIO__AUTH_TOKEN: must be set, since GATEWAY_TWILIO__ACCOUNT_SID is",
        "GATEWAY_EMAIL__SMTP_URL: is still a placeholder",
        "GATEWAY_EMAIL__ADDRESS: must be set, since GATEWAY_EMAIL__SMTP_URL is",
    }


def test_a_secret_key_must_be_set_outside_demo_mode() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({})
    assert caught.value.problems == ("GATEWAY_SECRET_KEY: must be set",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_DATABASE_URL", "mysql://u:hunter2@db/x"),
        ("GATEWAY_DATABASE_URL", "sqlite://"),
        ("GATEWAY_DATABASE_URL", "sqlite:///:memory:"),
        ("GATEWAY_REDIS_URL", "http://:hunter2@cache"),
        ("GATEWAY_SECRET_KEY", "hunter2"),
        ("GATEWAY_SECRET_KEY", "hunter2" * 10),
        ("GATEWAY_EMAIL__SMTP_URL", "smtp://u:hunter2@mx.example:99999"),
        ("GATEWAY_EMAIL__IMAP_URL", "pop3://u:hunter2@mx.example"),
        ("GATEWAY_WEBCHAT__IDENTITY_SECRET", "hunter2"),
        ("GATEWAY_TWILIO__ACCOUNT_SID", "hunter2"),
        ("GATEWAY_TWILIO__SMS_FROM", "hunter2-hunter2"),
        ("GATEWAY_TWILIO__WHATSAPP_FROM", "hunter2"),
        ("GATEWAY_TWILIO__MESSAGING_SERVICE_SID", "hunter2"),
        ("GATEWAY_TWILIO__API_URL", "ftp://hunter2"),
        ("GATEWAY_HTTP__PUBLIC_URL", "hunter2.example"),
        ("GATEWAY_HTTP__PUBLIC_URL", "https://u:hunter2@care.example"),
        ("GATEWAY_HTTP__PUBLIC_URL", "https://care.example/?hunter2"),
        ("GATEWAY_HTTP__LISTEN", "hunter2:70000"),
        ("GATEWAY_EMAIL__ADDRESS", "Shop <hunter2>"),
        ("GATEWAY_EMAIL__TRUSTED_RELAYS", "hunter2"),
        ("GATEWAY_EMAIL__AUTHSERV_ID", "hunter2 hunter2"),
        ("GATEWAY_EMAIL__MAX_BYTES", "hunter2"),
        ("GATEWAY_WEBCHAT__ALLOWED_ORIGINS", "https://hunter2.example/shop"),
        ("GATEWAY_WEBCHAT__ALLOWED_ORIGINS", "*"),
        ("GATEWAY_WEBCHAT__ASK_EMAIL", "hunter2"),
        ("GATEWAY_WEBCHAT__TOPICS", "Hunter2!hunter2"),
        ("GATEWAY_WEBCHAT__PRIVACY_URL", "javascript:hunter2"),
        ("GATEWAY_WEBCHAT__PRIVACY_URL", "https://u:hunter2@shop.example/"),
        ("GATEWAY_WEBCHAT__HAND_OVER_S", "0"),
        ("GATEWAY_FILES__URL", "ftp://hunter2/files"),
        ("GATEWAY_FILES__URL", "s3://"),
        ("GATEWAY_hunter3", "hunter2"),
    ],
)
def test_a_wrong_value_is_refused_and_not_repeated(name: str, value: str) -> None:
    problems = problems_of(**{name: value})
    assert any(problem.startswith(name) for problem in problems)
    assert "hunter2" not in str(problems)


@pytest.mark.parametrize(
    "value", ["changeme", "Change-Me", "secret", "password", "xxx", "TODO", "your-token", "<token>"]
)
def test_placeholders_are_refused_wherever_they_stand(value: str) -> None:
    problems = problems_of(**{**TWILIO, "GATEWAY_TWILIO__AUTH_TOKEN": value})
    assert problems == ("GATEWAY_TWILIO__AUTH_TOKEN: is still a placeholder",)


def test_a_repeated_character_is_no_secret_key() -> None:
    assert problems_of(GATEWAY_SECRET_KEY="ab" * 32) == ("GATEWAY_SECRET_KEY: looks like a placeholder",)


def test_secrets_do_not_show_in_repr() -> None:
    settings = load(
        **TWILIO,
        **MAILBOX,
        GATEWAY_DATABASE_URL="postgresql://u:hunter2@db/x",
        GATEWAY_REDIS_URL="redis://:hunter2@cache",
        GATEWAY_EMAIL__SMTP_URL="smtp://u:hunter2@mx.example",
        GATEWAY_WEBCHAT__IDENTITY_SECRET="hunter2-hunter2-hunter2-hunter2-hunter2",
    )
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert "hunter2" not in shown
        assert KEY not in shown
        assert "a-twilio-token" not in shown


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(
        f"# ours\nGATEWAY_SECRET_KEY='{KEY}'\nGATEWAY_LOG__LEVEL=error\nexport GATEWAY_REDIS_URL=\nHOME=/x\n"
    )
    assert load_settings({}, env_file).log.level == "error"
    assert load_settings({"GATEWAY_LOG__LEVEL": "debug"}, env_file).log.level == "debug"
    assert load_settings({"GATEWAY_SECRET_KEY": KEY}, tmp_path / "none").log.level == "info"


def test_mistakes_in_the_file_are_told_with_the_others(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("GATEWAY_LOG__LEVEL='error\nGATEWAY_LOG__COLOUR=red\n")
    with pytest.raises(SettingsError) as caught:
        load_settings({}, env_file)
    assert caught.value.problems == (
        ".env, line 1: can't be read",
        "GATEWAY_LOG__COLOUR: there is no such setting; is GATEWAY_LOG__FORMAT meant?",
        "GATEWAY_SECRET_KEY: must be set",
    )


def test_demo_mode_keeps_a_key_of_its_own_and_prefers_what_the_environment_sets() -> None:
    asked: list[Path] = []

    def keep(folder: Path) -> str:
        asked.append(folder)
        return KEY

    sandbox = {**TWILIO, "GATEWAY_TWILIO__API_URL": "http://127.0.0.1:9999"}
    settings = load_demo_settings({"GATEWAY_TWILIO__AUTH_TOKEN": "mine"}, keep_secret_key=keep, sandbox=sandbox)
    assert asked == [Path("var/demo").absolute()] == [settings.data_dir]
    assert settings.secret_key.get_secret_value() == KEY
    assert settings.twilio.api_url == "http://127.0.0.1:9999"
    assert settings.twilio.auth_token is not None
    assert settings.twilio.auth_token.get_secret_value() == "mine"


def test_demo_mode_takes_a_key_that_is_set_and_refuses_what_is_wrong() -> None:
    def refuse(_folder: Path) -> str:
        raise AssertionError("a key is set")

    environ = {"GATEWAY_SECRET_KEY": KEY, "GATEWAY_DATA_DIR": "/srv/demo"}
    assert load_demo_settings(environ, keep_secret_key=refuse, sandbox={}).data_dir == Path("/srv/demo")
    with pytest.raises(SettingsError, match="GATEWAY_DEMO: there is no such setting"):
        load_demo_settings({**environ, "GATEWAY_DEMO": "1"}, keep_secret_key=refuse, sandbox={})


def test_a_shop_has_a_name_for_visitors_whatever_is_set() -> None:
    mailbox = {"GATEWAY_EMAIL__ADDRESS": "help@shop.example", "GATEWAY_EMAIL__SENDER_NAME": "Shop care"}
    assert load().shop_name == "Customer service"
    assert load(**mailbox).shop_name == "Shop care"
    assert load(**mailbox, GATEWAY_WEBCHAT__SHOP_NAME="Calm Shop").shop_name == "Calm Shop"


def test_the_readme_has_the_table_of_all_settings() -> None:
    # To renew it: put what `settings_table()` returns between the two markers.
    text = README.read_text()
    between = text.split("<!-- settings -->")[1].split("<!-- /settings -->")[0]
    assert between.strip() == settings_table()


def test_a_mailbox_by_imap_is_refused_rather_than_ignored() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(
            {"GATEWAY_SECRET_KEY": KEY, "GATEWAY_EMAIL__ADDRESS": "care@shop.example"}
            | {"GATEWAY_EMAIL__IMAP_URL": "imaps://u:p@mx.example/INBOX"}
        )
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["GATEWAY_EMAIL__IMAP_URL"]
