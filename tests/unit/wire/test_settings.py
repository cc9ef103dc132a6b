"""A setting is taken or refused in one line that names it; a secret is never shown."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.settings import SETTINGS, BadSetting, load_settings

NAMES = [field.upper() for field in SETTINGS]
SECRETS = ["MANAGER_AUTHKEY", "MONGODB_PASSWORD", "COINBASE_API_SECRET"]


def refusal(**environ: str) -> str:
    with pytest.raises(BadSetting) as caught:
        load_settings(environ)
    return str(caught.value)


def test_defaults_are_those_of_the_design() -> None:
    shown = load_settings({}).shown()
    assert {name: shown[name] for name in ("LOGLEVEL", "MANAGER_PORT", "MONGODB_DATABASE", "SECURITIES")} == {
        "LOGLEVEL": "Info",
        "MANAGER_PORT": 6634,
        "MONGODB_DATABASE": "orderbook&trades",
        "SECURITIES": "binance:BTCUSDT,coinbase:BTC-USD",
    }
    assert load_settings({}).data_dir == Path("data").absolute()


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, meaning in SETTINGS.items() if not meaning] == []


@given(st.sampled_from(NAMES), st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_any_text_is_taken_or_refused_in_one_line_that_names_the_variable(name: str, text: str) -> None:
    if name == "USE_ENV_FILE":
        return  # true would read a file
    try:
        load_settings({name: text})
    except BadSetting as bad:
        line = str(bad)
        assert name in line or "MONGODB_" in line or "COINBASE_API_" in line
        assert len(line.splitlines()) == 1


@given(st.sampled_from(SECRETS), st.text("abcdefgh", min_size=12))
def test_a_secret_is_in_no_refusal_and_in_nothing_shown(name: str, secret: str) -> None:
    with pytest.raises(BadSetting) as caught:
        load_settings({name: secret, "MANAGER_PORT": "none", "CHANGE_INTERVAL_MS": "-1"})
    assert secret not in str(caught.value)
    settings = load_settings({"MANAGER_AUTHKEY": secret})
    assert secret not in f"{settings!r} {settings.shown()}"


def test_an_endpoint_is_shown_without_its_user_and_password() -> None:
    settings = load_settings({"MONGODB_ENDPOINT": "mongodb://me:hidden@host:27017/?tls=true"})
    assert settings.shown()["MONGODB_ENDPOINT"] == "mongodb://***@host:27017/?tls=true"
    assert "hidden" not in repr(settings)
    options = "tlsCertificateKeyFilePassword=hidden&authMechanismProperties=AWS_SESSION_TOKEN:hidden&w=1"
    shown = load_settings({"MONGODB_ENDPOINT": f"mongodb://host/?{options}"}).shown()["MONGODB_ENDPOINT"]
    assert shown == "mongodb://host/?tlsCertificateKeyFilePassword=***&authMechanismProperties=***&w=1"


def test_a_bad_endpoint_is_told_without_its_password() -> None:
    line = refusal(MONGODB_ENDPOINT="http://me:hidden@host:27017")
    assert line == "MONGODB_ENDPOINT=***: allowed is host:port[,host:port] or a mongodb:// URI"


@pytest.mark.parametrize("text", ["db:27017", "db1:27017,db2:27017", "mongodb://a:b@c", "mongodb+srv://c/"])
def test_an_endpoint_is_hosts_or_a_uri(text: str) -> None:
    endpoint = load_settings({"MONGODB_ENDPOINT": text}).mongodb_endpoint
    assert endpoint is not None
    assert endpoint.reveal() == text


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("MANAGER_PORT", "70000", "a whole number from 1 to 65535"),
        ("MANAGER_PORT", "none", "a whole number from 1 to 65535"),
        ("MONGODB_ENDPOINT", "db:99999", "ports from 1 to 65535"),
        ("MONGODB_ENDPOINT", "mongodb://me:pw@db1:1,db2:0/?tls=true", "ports from 1 to 65535"),
        ("COINBASE_API_SECRET", "no base64!", "base64"),
        ("MONGODB_TLS_CA_FILE", "/nowhere/ca.pem", "No such file"),
        ("WINDOW_SECONDS", "7", "divides 3600"),
        ("CHANGE_INTERVAL_MS", "3333", "divisor of WINDOW_SECONDS"),
        ("ORDERBOOK_UPDATEFREQUENCY", "250", "100 or 1000"),
        ("INGEST_LINES", "3", "1 or 2"),
        ("INGEST_LINES", "binance=2,binance=1", "binance=1,coinbase=2"),
        ("INGEST_LINES", "kraken=2", "1 or 2"),
        ("INGEST_LINES", "binance=", "1 or 2"),
        ("BINANCE_WS_URL", "https://stream.binance.com", "wss://host"),
        ("COINBASE_REST_URL", "https://host/path", "without a path"),
        ("SECURITIES", "binance:", "venue:SYMBOL"),
        ("SECURITIES", "kraken:BTCUSD", "binance and coinbase"),
        ("AS_SERVICE", "perhaps", "True or False"),
        ("LOGLEVEL", "loud", "'Debug', 'Info'"),
        ("MONGODB_DATABASE", "a b", "without"),
        ("COINBASE_API_KEY", "k", "or none"),
        ("PIPELINE_TRANSPORT", "udp", "'ipc' or 'tcp'"),
    ],
)
def test_a_refusal_says_what_is_allowed(name: str, text: str, says: str) -> None:
    line = refusal(**{name: text})
    assert line.startswith(f"{name}=")
    assert ": allowed is " in line
    assert says in line
    assert "pw" not in line


def test_the_well_known_key_is_taken_on_loopback_only_and_warned_of() -> None:
    assert load_settings({"MANAGER_AUTHKEY": "secret"}).warnings() != []
    assert "loopback" in refusal(MANAGER_AUTHKEY="secret", MANAGER_HOST="192.0.2.1")
    assert load_settings({"MANAGER_AUTHKEY": "better", "MANAGER_HOST": "192.0.2.1"}).warnings() == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("1", ["binance/a", "coinbase/a"]),
        ("2", ["binance/a", "binance/b", "coinbase/a", "coinbase/b"]),
        (" binance = 2 ", ["binance/a", "binance/b", "coinbase/a"]),
        ("binance=1,coinbase=2", ["binance/a", "coinbase/a", "coinbase/b"]),
    ],
)
def test_lines_are_counted_for_all_venues_or_by_name(text: str, lines: list[str]) -> None:
    assert load_settings({"INGEST_LINES": text}).lines() == lines


def test_an_empty_variable_is_unset() -> None:
    assert load_settings({"MANAGER_PORT": "", "MONGODB_ENDPOINT": ""}) == load_settings({})


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from the file\n")
    key = load_settings({"MANAGER_AUTHKEY_FILE": str(file)}).manager_authkey
    assert key is not None
    assert key.reveal() == "from the file"
    assert "cannot be read" in refusal(MANAGER_AUTHKEY_FILE=str(tmp_path / "absent"))


def test_the_env_file_is_read_when_asked_for_and_never_overrides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vars.env").write_text("MANAGER_PORT=7001\nBOOK_WORKERS=3\n")
    assert load_settings({}).manager_port == 6634
    both = load_settings({"USE_ENV_FILE": "True", "MANAGER_PORT": "7002"})
    assert (both.manager_port, both.book_workers) == (7002, 3)


def test_a_missing_env_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "vars.env" in refusal(USE_ENV_FILE="True")


def test_images_of_orders_are_rarer_unless_told() -> None:
    unset, told = load_settings({}), load_settings({"BASE_IMAGE_SECONDS": "60"})
    assert [unset.image_seconds("l2"), unset.image_seconds("l3")] == [600, 3600]
    assert [told.image_seconds("l2"), told.image_seconds("l3")] == [60, 60]


def test_the_recorder_id_is_made_once_and_is_its_owners_only(tmp_path: Path) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path / "new")})
    first = settings.recorder_id()
    assert (len(first), settings.recorder_id()) == (32, first)
    assert stat.S_IMODE((tmp_path / "new" / "recorder_id").stat().st_mode) == 0o600


def test_the_disk_reserve_is_two_gibibytes_at_least(tmp_path: Path) -> None:
    assert load_settings({"DATA_DIR": str(tmp_path)}).reserve_bytes() >= 2 << 30
    assert load_settings({"DISK_RESERVE_BYTES": "5"}).reserve_bytes() == 5
