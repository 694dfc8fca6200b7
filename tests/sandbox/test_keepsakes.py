import socket
from pathlib import Path

import pytest

from gateway.sandbox.keepsakes import (
    HOST,
    choose_ports,
    find_obstacle,
    is_loopback,
    load_keepsakes,
    make_keepsakes,
    save_keepsakes,
)
from tests.support.ports import free_port


def test_what_is_kept_is_found_again_and_read_by_nobody_else(tmp_path: Path) -> None:
    assert load_keepsakes(tmp_path) is None
    made = make_keepsakes()
    save_keepsakes(tmp_path, made)
    assert load_keepsakes(tmp_path) == made
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [("demo.json", 0o600)]


def test_every_demo_has_secrets_of_its_own_and_shows_none_in_a_trace() -> None:
    one, other = make_keepsakes(), make_keepsakes()
    secrets = {one.password, one.api_token, one.admin_token, one.twilio_auth_token, one.identity_secret}
    assert len(secrets) == 5
    assert not secrets & {other.password, other.api_token, other.twilio_auth_token, other.identity_secret}
    assert not any(secret in repr(one) for secret in secrets)


def test_the_default_port_is_taken_if_it_is_free() -> None:
    port = free_port()
    kept, remarks = choose_ports(make_keepsakes(), {"the door": port}, [])
    assert (kept.ports, remarks) == ({"the door": port}, [])


def test_a_taken_default_makes_way_for_a_free_port_which_is_said_and_kept() -> None:
    with socket.create_server((HOST, 0)) as somebody:
        default = somebody.getsockname()[1]
        kept, remarks = choose_ports(make_keepsakes(), {"the door": default}, [])
        assert kept.ports["the door"] != default
        assert remarks == [f"Port {default} was taken, so the door is on {kept.ports['the door']}."]
    again, _ = choose_ports(kept, {"the door": default}, [])
    assert again.ports == kept.ports


def test_no_port_is_chosen_twice_nor_one_that_is_meant_for_somebody_else() -> None:
    port, other = free_port(), free_port()
    kept, _ = choose_ports(make_keepsakes(), {"one": port, "two": port, "three": other}, [other])
    assert kept.ports["one"] == port
    assert len({*kept.ports.values(), other}) == 4


@pytest.mark.parametrize(("host", "is_ours"), [("127.0.0.1", True), ("localhost", True), ("::1", True)])
def test_this_machine_is_known_by_its_names(host: str, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "shop.example", "localhost.shop.example", ""])
def test_any_other_place_is_not_this_machine(host: str) -> None:
    assert not is_loopback(host)


def test_an_obstacle_is_named() -> None:
    with socket.create_server((HOST, 0)) as somebody:
        assert find_obstacle(HOST, somebody.getsockname()[1]) == "Address already in use"
