"""What a disk holds after the power went: everything that was synced, and of the rest whatever the disk chose to write.

A process runs with FAULTS_OPLOG=<log>:<part of the names> (preload.c). cut() takes the files as they were before it, goes
through the log, and writes them as they might be found: writes before the last sync of a file are there; of later ones
none, some in their order, or any of them, sectors of 512 bytes each for itself.
"""
import random
import struct
from pathlib import Path

HEAD = struct.Struct("=IIQQ")
WRITE, SYNC, TRUNCATE, UNLINK = 1, 2, 3, 4
SECTOR = 512


def read_log(log):
    """[(op, name, offset, length or data)], without what the death cut off at the end."""
    data, at, out = Path(log).read_bytes() if Path(log).exists() else b"", 0, []
    while at + HEAD.size <= len(data):
        op, name_len, offset, length = HEAD.unpack_from(data, at)
        at += HEAD.size
        name, at = data[at:at + name_len].decode(), at + name_len
        if op == WRITE:
            if at + length > len(data):
                break
            out.append((op, name, offset, data[at:at + length]))
            at += length
        else:
            out.append((op, name, offset, length))
    return out


def put(image, offset, data):
    if len(image) < offset:
        image.extend(bytes(offset - len(image)))
    image[offset:offset + len(data)] = data


def sectors(offset, data):
    while data:
        size = SECTOR - offset % SECTOR
        yield offset, data[:size]
        offset, data = offset + size, data[size:]


def survivors(operations, rng):
    """Of what was never synced: nothing, the first so many, or whatever came through, in pieces."""
    how = rng.choice(("none", "prefix", "any", "any"))
    if how == "none":
        return []
    if how == "prefix":
        return operations[:rng.randint(0, len(operations))]
    share, out = rng.random(), []
    for op, name, offset, what in operations:
        if op != WRITE:
            out += [(op, name, offset, what)] if rng.random() < share else []
        else:
            out += [(op, name, at, piece) for at, piece in sectors(offset, what) if rng.random() < share]
    return out


def snapshot(paths):
    return {str(path): Path(path).read_bytes() for path in paths if Path(path).exists()}


def cut(log, before, seed):
    """before: {path: bytes} when the process began. Writes the files; gives how many writes were lost in whole or in part."""
    rng, lost, by_name = random.Random("power %s" % seed), 0, {name: [] for name in before}
    for entry in read_log(log):
        by_name.setdefault(entry[1], []).append(entry)
    for name, operations in by_name.items():
        synced = max((i + 1 for i, entry in enumerate(operations) if entry[0] in (SYNC, UNLINK)), default=0)
        unsynced = operations[synced:]
        kept = survivors(unsynced, rng)
        lost += len(unsynced) - len(kept) if len(kept) < len(unsynced) else 0
        image, there = bytearray(before.get(name, b"")), name in before or bool(operations)
        for op, _, offset, what in operations[:synced] + kept:
            if op == WRITE:
                put(image, offset, what)
                there = True
            elif op == TRUNCATE:
                del image[what:]
                image.extend(bytes(what - len(image)))
            elif op == UNLINK:
                image, there = bytearray(), False
        Path(name).unlink(missing_ok=True)
        if there:
            Path(name).write_bytes(image)
        shm = Path(name[:-4] + "-shm") if name.endswith("-wal") else None
        if shm and shm.exists():  # memory; after a crash it may hold anything
            shm.write_bytes(rng.randbytes(shm.stat().st_size)) if rng.random() < 0.4 else shm.unlink()
    Path(log).unlink(missing_ok=True)
    return lost
