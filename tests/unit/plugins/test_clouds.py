"""What hosts of the group cloud know of each other, from the variables of the inventory."""

from support.plugin import load_plugin

FILTERS = load_plugin("filter/clouds.py").FilterModule().filters()
HOSTS = [
    {"inventory_hostname": "a", "ansible_host": "192.0.2.1"},
    {"inventory_hostname": "b", "ansible_host": "192.0.2.2", "cloud_broker_public_address": "b.example.org"},
    {"inventory_hostname": "c.example.org", "cloud_broker_port": 9883, "subscriber_names": ["x", "y"]},
]


def test_the_address_of_a_host_is_its_public_one_or_that_of_its_login_or_its_name():
    assert FILTERS["cloud_addresses"](HOSTS) == ["192.0.2.1", "b.example.org", "c.example.org"]


def test_each_broker_has_the_port_of_its_host():
    assert FILTERS["cloud_brokers"](HOSTS) == ["192.0.2.1:8883", "b.example.org:8883", "c.example.org:9883"]


def test_a_host_without_names_has_one_subscriber_named_after_its_place():
    assert FILTERS["cloud_subscribers"](HOSTS) == ["subscriber-1", "subscriber-2", "x", "y"]
