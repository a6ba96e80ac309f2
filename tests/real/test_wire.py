"""Every case of wire.py in the real mitmproxy with the compiled addon, and what arrived at the far end."""

import re

import pytest

import wire
import wire_h2  # noqa: F401  more cases
from attacks import CANARY
from egress import patch, running, wait_for

CREDENTIALS = re.compile(f"{CANARY}|{'|'.join(wire.TOKENS.values())}")


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    bottle = wire.compiled(tmp_path_factory.mktemp("bottle"))
    with running(bottle, tmp_path_factory.mktemp("chain") / "run", wire.TOKENS) as (egress, far_end):
        sockets = egress.sockets()
        yield egress, far_end
        # What the clients have left is left by egress.
        wait_for(lambda: egress.sockets() <= sockets, "the connections' end", wire.DEADLINE)
    # Once it has ended: mitmproxy's own lines come late.
    assert not CREDENTIALS.search(egress.log()), egress.log()


def unauthorised(entry: dict) -> str | None:
    """What is wrong with a line of the far end's log, for any case."""
    if entry["event"] == "connect":
        host, _, port = (entry["target"] or "").partition(":")
        return None if host in [*wire.ROUTED, "misnamed.example.com", "unknown.example.com"] and port == "443" else "tunnel"
    if entry["event"] != "request":
        return None if entry["event"] in ("hello", "tls", "refused") else "no request"
    host, values = entry["host"], lambda name: [value for key, value in entry["headers"] if key.lower() == name]
    if host not in wire.ROUTED or entry["connect"] != f"{host}:443" or entry["http"] != "1.1":
        return "host"
    if [value.lower().removesuffix(":443") for value in values("host")] != [host]:
        return "Host"
    if not entry["target"].startswith(wire.ROUTED[host]):
        return "path"
    if values("authorization") != ([wire.SIGNED[host]] if host in wire.SIGNED else []):
        return "Authorization"
    rest = [value for key, value in entry["headers"] if key.lower() != "authorization"]
    return "a credential elsewhere" if CREDENTIALS.search(" ".join(rest)) else None


def begun(log: list[dict]) -> list[dict]:
    """What the far end was sent and was no whole request."""
    return [entry for entry in log if entry["event"] in ("request", "refused") and not entry.get("complete")]


def problems(chain, what: wire.Case) -> list:
    """Runs a case: all that is not as it has to be."""
    egress, far_end = chain
    far_end.forget()
    seen = wire.answers(wire.converse(egress.proxy, what))
    # A request that is cut is in the log once its connection has ended.
    wait_for(lambda: len(begun(far_end.log())) >= what.cut, "the begun request", wire.DEADLINE)
    log = far_end.log()
    found = [(wrong, entry) for entry in log if (wrong := unauthorised(entry))]
    if [status for status, _ in seen] != what.statuses:
        found.append(("answers", seen))
    requests = [entry for entry in log if entry["event"] in ("request", "refused")]
    if len(begun(log)) != what.cut or len(requests) != what.arriving() + what.cut:
        found.append(("requests", requests))
    if any(token in str(seen) for token in wire.TOKENS.values()):
        found.append(("a token in an answer", seen))
    return found


@pytest.mark.parametrize("name", wire.CASES)
def test_case(name, chain, row):
    row("on the wire", name)
    assert not problems(chain, wire.CASES[name])


@pytest.mark.parametrize("name", wire.GUARDS)
def test_guard(name, tmp_path, row):
    row("on the wire", f"without its guard it goes wrong: {name}")
    changes, cases = wire.GUARDS[name]
    bottle = wire.compiled(tmp_path / "bottle")
    patch(bottle, "egress/addon.py", changes)
    with running(bottle, tmp_path / "run", wire.TOKENS) as chain:
        assert [case for case in cases if not problems(chain, wire.CASES[case])] == []
