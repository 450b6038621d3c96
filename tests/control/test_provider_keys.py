"""`/manage/provider-keys`: kept, shown without what they are, handed to workers, revoked, sealed anew; and what is said of
those that cannot be opened."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatvault.access.people import Project
from chatvault.config.schema import Config, ProviderConfig, SecretsConfig
from chatvault.config.snapshot import KeySnapshot, LentToken, Snapshot
from chatvault.control.keyring import Keyring
from chatvault.control.master_keys import read_master_keys
from chatvault.core.errors import OperatorError
from chatvault.feed.messages import Configure, Welcome
from chatvault.providers.resolve import resolve
from chatvault.vault.master import MasterKey, parse_master_keys
from tests.control.plane import Plane, open_plane
from tests.control.worker import Worker, connected

KEY = "sk-vault-0123456789abcdefWXYZ"
OTHER = "sk-other-0123456789abcdefQRST"


def configuration(version: int = 1) -> Snapshot:
    providers = {
        "openai": ProviderConfig(api_key="sk-configured"),
        "deepseek": ProviderConfig(vault_only=True),
        "groq": ProviderConfig(api_key="sk-configured"),
    }
    snapshot = resolve(Config(providers=providers), {}, False, None, version=version)
    signed = msgspec.structs.replace(snapshot.providers["groq"], name="signed", signing=LentToken())
    return msgspec.structs.replace(snapshot, providers=snapshot.providers | {"signed": signed})


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with open_plane(tmp_path) as opened:
        await opened.vault.people.add_project(Project(id="team", name="team", created_at=1))
        opened.next = configuration()
        await opened.feed.configure(configuration())
        yield opened


async def said(plane: Plane, method: str, path: str = "", status: int = 200, body: object = None) -> Any:
    answer = await plane.http.request(method, f"/manage/provider-keys{path}", json=body)
    assert answer.status_code == status, answer.text
    assert KEY not in answer.text
    return answer.json() if answer.content else None


async def added(plane: Plane, **wanted: object) -> dict[str, Any]:
    found = await said(plane, "POST", "", 201, {"provider": "openai", "key": KEY, **wanted})
    assert isinstance(found, dict)
    return found


async def pushed(worker: Worker) -> Snapshot:
    message = await worker.next()
    assert isinstance(message, Configure)
    return message.snapshot


async def again(plane: Plane, **settings: Any) -> Keyring:
    """The keys as another life of control finds them."""
    masters = await asyncio.to_thread(read_master_keys, SecretsConfig(**settings), plane.data, None)
    keyring = Keyring(plane.vault.keys, masters, plane.feed)
    await keyring.load()
    return keyring


async def masters_of(plane: Plane) -> tuple[MasterKey, ...]:
    return parse_master_keys(await asyncio.to_thread(master_file(plane).read_text))


def master_file(plane: Plane) -> Path:
    return plane.data / "secrets" / "master.key"


async def test_a_key_is_kept_and_shown_without_what_it_is(plane: Plane) -> None:
    key = await added(plane, name="Of the house")
    assert key.pop("unacknowledged") == []
    assert (key["provider"], key["project_id"], key["name"], key["last4"]) == (
        "openai",
        None,
        "Of the house",
        "WXYZ",
    )
    assert (key["usable"], key["fault"], key["revoked_at"]) == (True, None, None)
    assert await said(plane, "GET", f"/{key['key_id']}") == key
    assert await said(plane, "GET") == {"data": [key], "cursor": None}
    assert plane.journal.lines == [
        ("environment", "key.add", key["key_id"], None, {"provider": "openai", "project": None})
    ]
    files = await asyncio.to_thread(
        lambda: {path: path.read_bytes() for path in plane.data.rglob("*") if path.is_file()}
    )
    assert len(files) >= 2
    assert [path for path, data in files.items() if KEY.encode() in data] == []


@pytest.mark.parametrize(("key", "last4"), [("x" * 11, None), ("x" * 8 + "1234", "1234"), ("k", None)])
async def test_a_short_key_shows_nothing_of_itself(plane: Plane, key: str, last4: str | None) -> None:
    assert (await added(plane, key=key))["last4"] == last4


async def test_pages_and_filters(plane: Plane) -> None:
    made = [
        await added(plane),
        await added(plane, project_id="team"),
        await added(plane, provider="deepseek", project_id="team"),
    ]

    async def listed(query: str) -> set[str]:
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await said(plane, "GET", f"?limit=1{query}" + (f"&cursor={cursor}" if cursor else ""))
            found += [key["key_id"] for key in page["data"]]
            cursor = page["cursor"]
        assert len(found) == len(set(found))
        return set(found)

    ids = [key["key_id"] for key in made]
    assert await listed("") == set(ids)
    assert await listed("&provider=openai") == set(ids[:2])
    assert await listed("&project_id=team") == set(ids[1:])
    assert await listed("&provider=groq") == set()


@pytest.mark.parametrize(
    ("wanted", "status", "code", "hint"),
    [
        ({"provider": "opnai"}, 404, "provider_not_found", "Did you mean 'openai'?"),
        ({"provider": "zzz"}, 404, "provider_not_found", "Configure it first"),
        ({"provider": "signed"}, 400, "provider_not_keyed", "signed by itself"),
        ({"project_id": "nobody"}, 404, "project_not_found", "nobody"),
        ({"key": f"{KEY} {KEY}"}, 400, "invalid_request", "key: "),
        ({"key": ""}, 400, "invalid_request", "key"),
        ({"key": 12345678901234567890}, 400, "invalid_request", "key"),
        ({"key": None}, 400, "invalid_request", "key"),
        ({"last4": "WXYZ"}, 400, "invalid_request", "last4"),
    ],
)
async def test_a_wrong_wish_is_refused_and_shows_no_key(
    plane: Plane, wanted: dict[str, object], status: int, code: str, hint: str
) -> None:
    answer = await said(plane, "POST", "", status, {"provider": "openai", "key": KEY, **wanted})
    assert answer["error"]["code"] == code
    assert hint in answer["error"]["message"]
    assert plane.journal.lines == []
    assert not master_file(plane).exists()


async def test_nothing_is_kept_that_cannot_be_put_on_record(plane: Plane) -> None:
    key = await added(plane)
    plane.journal.full = True
    await said(plane, "POST", "", 503, {"provider": "openai", "key": OTHER})
    await said(plane, "DELETE", f"/{key['key_id']}", 503)
    await said(plane, "POST", "/rotate-master", 503)
    assert [kept.id for kept, _ in await plane.vault.keys.live()] == [key["key_id"]]
    assert len(await masters_of(plane)) == 1


async def test_workers_get_header_fields_and_lose_them(plane: Plane) -> None:
    async with connected(plane.feed_path) as worker:
        assert isinstance(await worker.next(), Welcome)
        one = await added(plane)
        assert (await pushed(worker)).keys == {
            "openai": {"": (KeySnapshot(one["key_id"], {"openai": {"authorization": f"Bearer {KEY}"}}),)}
        }
        two = await added(plane, provider="deepseek", project_id="team", key=OTHER)
        keys = (await pushed(worker)).keys
        assert keys is not None
        assert set(keys) == {"openai", "deepseek"}
        ((of_team,),) = keys["deepseek"].values()
        assert of_team.headers["openai"] == {"authorization": f"Bearer {OTHER}"}
        assert of_team.headers["anthropic"]["x-api-key"] == OTHER
        await said(plane, "DELETE", f"/{two['key_id']}", 204)
        assert set((await pushed(worker)).keys or {}) == {"openai"}
    shown = await said(plane, "GET", f"/{two['key_id']}")
    assert (shown["usable"], shown["revoked_at"] > shown["created_at"]) == (False, True)
    await said(plane, "DELETE", f"/{two['key_id']}", 204)
    await said(plane, "DELETE", "/key_nobody", 404)
    assert [what for _, what in plane.journal.acts] == ["key.add", "key.add", "key.revoke"]


async def test_a_revocation_names_the_worker_that_did_not_hear_of_it(tmp_path: Path) -> None:
    async with open_plane(tmp_path, expected=1) as plane:
        await plane.feed.configure(configuration())
        async with connected(plane.feed_path, auto=False):
            while not plane.feed.connected():
                await asyncio.sleep(0.005)
            key = await said(plane, "POST", "", 202, {"provider": "openai", "key": KEY})
            assert key["unacknowledged"] == [0]
            late = await said(plane, "DELETE", f"/{key['key_id']}", 202)
            assert late == {"key_id": key["key_id"], "revoked": True, "unacknowledged": [0]}
        while plane.feed.connected():
            await asyncio.sleep(0.005)
        # It is gone, but its process may live, and sign with what it knows.
        assert (await said(plane, "DELETE", f"/{key['key_id']}", 202))["unacknowledged"] == [0]


async def test_a_reload_keeps_the_keys_and_fits_them_to_what_is_new(plane: Plane) -> None:
    key = await added(plane)
    other = resolve(
        Config(providers={"openai": ProviderConfig(kind="anthropic", api_key="a")}), {}, False, None
    )
    plane.next = other
    answer = await plane.http.post("/manage/config/reload")
    assert answer.status_code == 200, answer.text
    ((held,),) = (plane.feed.snapshot.keys or {})["openai"].values()
    assert held.headers["anthropic"]["x-api-key"] == KEY
    assert "authorization" not in held.headers["anthropic"]
    plane.next = Snapshot(version=1)
    await plane.http.post("/manage/config/reload")
    assert plane.feed.snapshot.keys == {}
    assert (await said(plane, "GET", f"/{key['key_id']}"))["fault"] == "its provider is not configured"


async def test_another_life_opens_what_was_kept(plane: Plane) -> None:
    key = await added(plane)
    keyring = await again(plane)
    assert (plane.feed.snapshot.keys or {}).keys() == {"openai"}
    assert keyring.problems() == [
        "The provider deepseek has no key: it is `vault_only`, and the vault has none for it."
    ]
    assert keyring.report() == {"held": 1, "unusable": {}}
    assert keyring.held(key["key_id"]) is not None


async def test_a_missing_master_key_refuses_and_overwrites_nothing(plane: Plane, tmp_path: Path) -> None:
    key = await added(plane, project_id="team")
    rows = await plane.vault.keys.live()
    keyring = await again(plane, master_key_file=str(tmp_path / "another.key"))
    assert plane.feed.snapshot.keys == {"openai": {"team": ()}}
    assert list(keyring.report()["unusable"]) == [key["key_id"]]  # type: ignore[call-overload]
    (problem, _) = keyring.problems()
    assert "cannot be opened: the master key mk_" in problem
    assert key["key_id"] in problem
    plane.keys._keyring = keyring
    shown = await said(plane, "GET", f"/{key['key_id']}")
    assert (shown["usable"], "master key" in shown["fault"]) == (False, True)
    refused = await said(plane, "POST", "", 503, {"provider": "openai", "key": OTHER})
    assert refused["error"]["code"] == "master_key_missing"
    refused = await said(plane, "POST", "/rotate-master", 409)
    assert refused["error"]["code"] == "provider_keys_closed"
    assert key["key_id"] in refused["error"]["message"]
    assert not (tmp_path / "another.key").exists()
    assert await plane.vault.keys.live() == rows
    # Once it is revoked, others are kept under a new master key.
    await said(plane, "DELETE", f"/{key['key_id']}", 204)
    await added(plane)
    assert (tmp_path / "another.key").exists()


async def test_a_changed_row_is_told_and_the_others_are_used(plane: Plane) -> None:
    one, two = await added(plane), await added(plane, key=OTHER)

    def tamper() -> None:
        with sqlite3.connect(plane.vault.path) as connection:
            connection.execute("UPDATE provider_keys SET provider = 'groq' WHERE id = ?", (one["key_id"],))
        connection.close()

    await asyncio.to_thread(tamper)
    keyring = await again(plane)
    keys = plane.feed.snapshot.keys or {}
    assert [key.id for key in keys["openai"][""]] == [two["key_id"]]
    assert keys["groq"] == {"": ()}
    assert "moved here from another row" in keyring.problems()[0]


async def test_a_new_master_key_takes_the_place_of_the_old_one(plane: Plane) -> None:
    made = [await added(plane), await added(plane, key=OTHER, project_id="team")]
    (old,) = await masters_of(plane)
    before = dict(plane.feed.snapshot.keys or {})
    done = await said(plane, "POST", "/rotate-master")
    (new,) = await masters_of(plane)
    assert done == {"master_id": new.id, "resealed": 2, "former_removed": True}
    assert new != old
    for key, sealed in await plane.vault.keys.live():
        assert (key.version, sealed.master_id) == (2, new.id)
    keyring = await again(plane)
    assert plane.feed.snapshot.keys == before
    assert {held.key.id for held in keyring._held.values()} == {key["key_id"] for key in made}
    assert (await said(plane, "POST", "/rotate-master"))["resealed"] == 2


class Killed(BaseException):
    """What a kill is to the code it hits."""


@pytest.mark.parametrize("step", ["before", "made", "sealing", "sealed", "removing"])
async def test_a_rotation_that_was_killed_anywhere_loses_nothing_and_can_be_repeated(
    plane: Plane, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await added(plane)
    await added(plane, key=OTHER)
    keys = dict(plane.feed.snapshot.keys or {})
    masters, store = plane.keyring._masters, plane.vault.keys
    make, reseal = masters.make, store.reseal

    def killed(*_: object) -> Any:
        raise Killed

    def made_and_killed() -> Any:
        make()
        raise Killed

    async def sealed_and_killed(fresh: Any) -> bool:
        assert await reseal(fresh)
        raise Killed

    match step:
        case "before":
            monkeypatch.setattr(masters, "make", killed)
        case "made":
            monkeypatch.setattr(masters, "make", made_and_killed)
        case "sealing":
            monkeypatch.setattr(store, "reseal", killed)
        case "sealed":
            monkeypatch.setattr(store, "reseal", sealed_and_killed)
        case "removing":
            monkeypatch.setattr(masters, "keep_newest", killed)
    with pytest.raises(Killed):
        await plane.keyring.rotate()
    monkeypatch.undo()

    for _ in range(2):  # another life, and what it makes of the rotation
        life = await again(plane)
        assert plane.feed.snapshot.keys == keys
        assert list(life.report()["unusable"]) == []  # type: ignore[call-overload]
        await life.rotate()
    (only,) = await masters_of(plane)
    assert {sealed.master_id for _, sealed in await store.live()} == {only.id}


async def test_a_rotation_with_a_given_master_key_seals_what_is_sealed_under_another(
    plane: Plane, tmp_path: Path
) -> None:
    await added(plane)
    given = "11" * 32
    file = tmp_path / "given.key"
    file.write_text(given)
    keyring = await again(plane, master_key_command=("cat", str(file)))
    done = await keyring.rotate()
    assert (done.resealed, done.master_id) == (1, parse_master_keys(given)[0].id)
    assert not done.former_removed
    await asyncio.to_thread(master_file(plane).unlink)
    keyring = await again(plane, master_key_command=("cat", str(file)))
    assert keyring.report() == {"held": 1, "unusable": {}}
    plane.keys._keyring = keyring
    assert (await said(plane, "POST", "/rotate-master", 409))["error"]["code"] == "master_key_given"


async def test_a_former_master_key_that_cannot_be_taken_out_is_said(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    await added(plane)

    def read_only() -> None:
        raise OperatorError("The file is read-only.", code="master_key_unwritable")

    monkeypatch.setattr(plane.keyring._masters, "keep_newest", read_only)
    assert (await said(plane, "POST", "/rotate-master"))["former_removed"] is False
    assert len(await masters_of(plane)) == 2


async def test_keys_are_added_and_revoked_while_the_master_key_is_rotated(plane: Plane) -> None:
    async def churn(number: int) -> list[str]:
        left = []
        for turn in range(4):
            key = await added(plane, key=f"{KEY}-{number}-{turn}")
            if turn % 2:
                await said(plane, "DELETE", f"/{key['key_id']}", 204)
            else:
                left.append(key["key_id"])
        return left

    async def rotate() -> None:
        for _ in range(6):
            await said(plane, "POST", "/rotate-master")
            await asyncio.sleep(0)

    *left, _ = await asyncio.gather(*(churn(number) for number in range(4)), rotate())
    keyring = await again(plane)
    expected = {key for keys in left for key in keys or ()}
    assert len(expected) == 8
    assert {held.key.id for held in keyring._held.values() if held.secret is not None} == expected
