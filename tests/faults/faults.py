"""Defines the faults of a running chain. A fault acts at random intervals; `World.heal` ends it."""

import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from face_app.cloud.bucket import operations
from faults.attacks import ATTACKS
from faults.clocks import set_clock
from faults.damage import copy_or_restore, damage, damage_pages, mix_blocks
from faults.program import Program
from faults.programs import BUCKET, Kind
from faults.world import World
from support.chain import EDGE
from support.s3 import client

Act = Callable[[World, random.Random], None]

YEAR = 365 * 86400
MOST_WAL_BYTES = 8 << 20
"""Bytes of the WAL that readers may cause; SQLite's own limit for a file without readers is 4 MiB."""


@dataclass(frozen=True)
class Fault:
    """Describes one fault.

    Attributes:
        name: Name in the table.
        act: Applies the fault, and may end it again.
        pause: Shortest and longest time between two acts, seconds.
        kind: Kind of the store.
        cameras: Number of cameras.
        rate: Faces a second per camera.
        edge_disk: MiB of the disk under the outbox; 0: no disk of its own.
        cloud_disk: MiB of the disk under the store; 0: no disk of its own.
        own_clocks: True if cameras and subscribers have clocks of their own.
        copies: True if a client publishes copies of earlier faces in random order.
        attack: Name of the attack of a hostile edge during the fault; empty: none.
        broker_memory: Maximum of the cloud's broker in MB; it is killed there. The default is that of its role.
        audit: ``balanced``: no face is lost. ``names losses``: the disk or the store may lose faces, and the audit must
            not end with 0 then.
        check: Called when the fault ends, before the repair.
        alone: True if the fault is never drawn together with others.
    """

    name: str
    act: Act
    pause: tuple[float, float] = (0.5, 2.0)
    kind: Kind = "s3"
    cameras: int = 1
    rate: float = 30
    edge_disk: int = 0
    cloud_disk: int = 0
    own_clocks: bool = False
    copies: bool = False
    attack: str = ""
    broker_memory: int = 512
    audit: Literal["balanced", "names losses"] = "balanced"
    check: Callable[[World], None] = lambda _: None
    alone: bool = False


def _kill(chance: random.Random, *programs: Program) -> None:
    for program in programs:
        program.kill()
    time.sleep(chance.uniform(0, 0.5))
    for program in programs:
        program.start()


def kill(name: str) -> Act:
    """Kill and restart every program whose name starts with `name`."""

    def act(world: World, chance: random.Random) -> None:
        _kill(chance, *(program for each, program in world.programs.items() if each.startswith(name)))

    return act


def kill_committing(world: World, chance: random.Random) -> None:
    """Kill each camera within a fifth of a second after its first commit."""
    for number, camera in enumerate(world.cameras):
        log = world.home / f"committed-{number}.log"
        size, deadline = log.stat().st_size if log.exists() else 0, time.monotonic() + 20
        while time.monotonic() < deadline and not (log.exists() and log.stat().st_size > size):
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.2))
        _kill(chance, camera)


def kill_any(world: World, chance: random.Random) -> None:
    """Kill one to three programs at the same moment."""
    names = [name for name in world.programs if name != "s3fs"]
    _kill(chance, *(world[name] for name in chance.sample(names, chance.choice([1, 1, 2, 3]))))


def redeploy(world: World, chance: random.Random) -> None:
    """Stop one program as a redeploy does, and start it again."""
    program = world[chance.choice([name for name in world.programs if name != "s3fs"])]
    program.stop()
    program.start()


def cut(least: float, most: float) -> Act:
    """Drop all packets between forwarder and cloud for a while."""

    def act(world: World, chance: random.Random) -> None:
        world.cut()
        time.sleep(chance.uniform(least, most))
        world.mend()

    return act


def pause_forwarder(world: World, chance: random.Random) -> None:
    """Stop the forwarder for a while: its edge alone is cut off."""
    world["forwarder"].stop()
    time.sleep(chance.uniform(1, 3))
    world["forwarder"].start()


def store_errors(world: World, chance: random.Random) -> None:
    """Let a fraction of the requests fail, up to all of them."""
    world.proxy.errors = chance.choice([0.05, 0.2, 0.5, 1.0])


def store_slow(world: World, chance: random.Random) -> None:
    world.proxy.seconds = chance.choice([0.0, 0.5, 2.0, 4.0])


def store_read_only(world: World, chance: random.Random) -> None:
    world.proxy.read_only = not world.proxy.read_only


def kill_mount(world: World, chance: random.Random) -> None:
    """Kill s3fs, perhaps during a write; mount again after up to two seconds."""
    world["s3fs"].kill()
    time.sleep(chance.uniform(0, 2))
    world.mount()


def unmount(world: World, chance: random.Random) -> None:
    """Unmount the bucket while subscribers use it; mount again after up to two seconds."""
    subprocess.run(["umount", "-l", world.home / "mount"], check=True)
    world["s3fs"].stop()
    time.sleep(chance.uniform(0, 2))
    world.mount()


def clocks(world: World, chance: random.Random) -> None:
    """Set each clock of cameras and subscribers to a random offset of up to a day."""
    for program in (*world.cameras, *world.subscribers):
        set_clock(program, chance.choice([-86400, -3600, 0, 3600, 86400]))


def fill(folder: str) -> Act:
    """Fill the disk of a folder to its last bytes; the next act makes room again."""

    def act(world: World, chance: random.Random) -> None:
        ballast = world.home / folder / "ballast"
        if ballast.exists():
            ballast.unlink()
            return
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                file.truncate(max(0, file.tell() - chance.choice([0, 0, 10_000, 1_000_000])))

    return act


def kill_for_good(world: World, chance: random.Random) -> None:
    """Kill one subscriber, once; it never starts again."""
    if not world.dead:
        victim = chance.choice(world.subscribers)
        victim.kill()
        world.dead.add(victim.name)


def leave_reader(world: World, chance: random.Random) -> None:
    """Begin a read transaction on the outbox, and leave it open to the end of the fault."""
    if "reader" not in world.helpers:
        world.help("reader", "faults.reader", world.outboxes[0])


def leave_ledger(world: World, chance: random.Random) -> None:
    """Start one more `face-app ledger` whose output is never read."""
    config = ("--ledger", world.home / "edge-0.toml")
    world.help(f"ledger-{len(world.helpers)}", "faults.reader", world.outboxes[0], *config)


def has_small_wal(world: World) -> None:
    wal = world.outboxes[0].with_name("outbox.db-wal")
    assert wal.stat().st_size < MOST_WAL_BYTES, f"the WAL has {wal.stat().st_size} bytes"


def ahead_and_back(world: World, chance: random.Random) -> None:
    """Set the camera's clock a year ahead and back, then cut the link until its health reports the waiting faces."""
    (camera,) = world.cameras
    set_clock(camera, YEAR)
    time.sleep(chance.uniform(1, 3))
    set_clock(camera, 0)
    world.cut()
    world.wait_until_late()
    world.mend()


def forget_objects(world: World, chance: random.Random) -> None:
    """Kill the store; it has lost the faces of its last seconds when it starts again."""
    before = set(operations.keys(world.store, f"{EDGE}/"))
    time.sleep(chance.uniform(1, 2))
    world.restart_store(kill=True)
    store = client(world.store.endpoint or "")
    for key in set(operations.keys(world.store, f"{EDGE}/")) - before:
        store.delete_object(Bucket=BUCKET, Key=key)


def nothing(world: World, chance: random.Random) -> None:
    """Do nothing: the fault is part of the set-up."""


def hostile_edge(attack: str) -> Fault:
    """Return the fault of an attack. New connections alone need a place among silent ones, so these get some."""
    act, pause = (kill("forwarder"), (3.0, 5.0)) if attack == "silent connections" else (nothing, (1.0, 1.0))
    return Fault(f"hostile edge: {attack}", act, pause=pause, rate=10, attack=attack, alone=True)


CATALOGUE = (
    Fault("kill capture", kill("camera"), rate=60),
    Fault("kill capture while it commits", kill_committing, pause=(0, 0.1), rate=1000),
    Fault("kill edge broker", kill("edge")),
    Fault("kill forwarder", kill("forwarder")),
    Fault("kill cloud broker", kill("cloud")),
    Fault("kill subscribers", kill("subscriber")),
    Fault("kill any, together", kill_any),
    Fault("redeploy any", redeploy),
    Fault("link cut for seconds", cut(1, 6)),
    Fault("link cut for long", cut(30, 30), pause=(2, 4), rate=100),
    Fault("store errors 5-100 %", store_errors),
    Fault("store slow, up to 4 s", store_slow),
    Fault("store read-only", store_read_only, pause=(2, 5)),
    Fault("kill s3fs", kill_mount, pause=(1, 3), kind="mount", rate=15),
    Fault("unmount", unmount, pause=(1, 3), kind="mount", rate=15),
    Fault("mount, kill any", kill_any, kind="mount", rate=15),
    Fault("edge disk full", fill("edge-0"), pause=(2, 4), edge_disk=24),
    Fault("cloud disk full", fill("store"), pause=(3, 6), cloud_disk=400),
    Fault("clocks jump by a day", clocks, own_clocks=True),
    Fault("copies, in any order", nothing, copies=True),
    Fault("two edges of one name", kill_any, cameras=2, rate=15),
    Fault("subscriber stays dead", kill_for_good, alone=True),
    *(hostile_edge(name) for name in ATTACKS),
    Fault("broker at its memory limit", pause_forwarder, rate=20, attack="memory", broker_memory=24, alone=True),
    Fault("outbox restored from a copy", copy_or_restore, pause=(1, 2), audit="names losses", alone=True),
    Fault("old and new blocks mixed", damage(mix_blocks), audit="names losses", alone=True),
    Fault("random damage to any page", damage(damage_pages), audit="names losses", alone=True),
    Fault("reader left open", leave_reader, rate=60, edge_disk=24, alone=True),
    Fault("ledger left open", leave_ledger, rate=60, edge_disk=24, check=has_small_wal, alone=True),
    Fault("clock ahead and back", ahead_and_back, own_clocks=True, alone=True),
    Fault("store forgets its last seconds", forget_objects, audit="names losses", alone=True),
)


def random_faults(kind: Kind, seed: int) -> Fault:
    """Draw faults of the catalogue for a store of a kind, one after the other, by a seed.

    One set-up is drawn for the whole run: a disk that can be filled, own clocks, copies, a second camera, or none of
    these. Before each act the store is healed and the disks have room again.
    """
    # Faults of an S3 store apply to a mount too.
    catalogue = [fault for fault in CATALOGUE if not fault.alone]
    plain = [fault for fault in catalogue if fault.kind in {kind, "s3"} and not _set_up(fault)]
    set_ups = [fault for fault in catalogue if fault.kind == kind and _set_up(fault)]
    chosen = random.Random(seed).choice([None, *set_ups])
    acts = [fault.act for fault in plain] + ([chosen.act] * len(plain) if chosen else [])

    def act(world: World, chance: random.Random) -> None:
        world.proxy.heal()
        make_room(world)
        chance.choice(acts)(world, chance)

    name, rate = f"random, {chosen.name if chosen else 'no set-up'}", min(fault.rate for fault in plain)
    if not chosen:
        return Fault(name, act, kind=kind, rate=rate)
    return replace(chosen, name=name, act=act, rate=min(rate, chosen.rate))


def _set_up(fault: Fault) -> bool:
    return bool(fault.edge_disk or fault.cloud_disk or fault.own_clocks or fault.copies or fault.cameras > 1)


def make_room(world: World) -> None:
    """Free the disks that `fill` has filled."""
    (world.home / "edge-0" / "ballast").unlink(missing_ok=True)
    ballast = world.home / "store" / "ballast"
    if ballast.exists():
        ballast.unlink()
        # After a full disk SeaweedFS's database accepts nothing until a restart; see the operations page.
        world.restart_store()
