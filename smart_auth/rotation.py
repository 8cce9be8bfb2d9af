"""Rotating the server's keys in the record, where several processes may do so at once."""

from smart_auth import keys
from smart_auth.realm import Realm
from smart_auth.records import Key


async def found(realm: Realm) -> None:
    """Make the first keys, where there are none."""
    if not await realm.store.find(Key, state="signing"):
        for key in keys.founded(realm.clock()):
            await realm.store.add(key)


async def rotate(realm: Realm) -> bool:
    """Move every key on by one state; return whether this process did it, and not another at the same time.

    The next key signs before the signing one retires, so there is never a moment without one.
    """
    before = [*await realm.store.find(Key, state="signing"), *await realm.store.find(Key, state="next")]
    after = {key.id: key for key in keys.rotated(before, realm.clock(), realm.policy.retired_keys)}
    moves = [(key, after.pop(key.id)) for key in before]
    for old, new in sorted(moves, key=lambda move: move[1].state != "signing"):
        if not await realm.store.swap(old, new, felt=True):
            return False
    for key in after.values():
        await realm.store.add(key)
    await realm.note("keys-rotated")
    return True


async def ring(realm: Realm) -> list[Key]:
    """Return the keys that are published: the one that signs, the next one, and those that have signed what may be valid."""
    now = realm.clock()
    found = [key for state in ("signing", "next", "retired") for key in await realm.store.find(Key, state=state)]
    return [key for key in found if key.until is None or key.until > now]
