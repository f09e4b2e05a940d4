"""The order of addresses: one per client, stable, and even over many clients."""

from collections import Counter

from support.plugin import load_plugin

spread = load_plugin("filter/spread.py").FilterModule().filters()["spread"]

BROKERS = ["a:8883", "b:8883", "c:8883"]
EDGES = [f"edge-{number}" for number in range(3000)]


def test_the_order_of_an_edge_does_not_depend_on_the_inventory():
    assert spread(BROKERS, "jetson") == spread(BROKERS[::-1], "jetson")
    assert sorted(spread(BROKERS, "jetson")) == BROKERS


def test_edges_share_the_brokers_evenly_and_those_of_a_dead_one_share_the_others():
    orders = [spread(BROKERS, edge) for edge in EDGES]
    assert all(900 < count < 1100 for count in Counter(order[0] for order in orders).values())
    seconds = Counter(order[1] for order in orders if order[0] == "a:8883")
    assert all(400 < count < 600 for count in seconds.values())


def test_a_further_broker_moves_its_share_alone():
    before = {edge: spread(BROKERS, edge)[0] for edge in EDGES}
    after = {edge: spread([*BROKERS, "d:8883"], edge)[0] for edge in EDGES}
    moved = {after[edge] for edge in EDGES if after[edge] != before[edge]}
    assert moved == {"d:8883"}
