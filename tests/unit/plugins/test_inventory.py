"""The filter inventory_folder."""

from pathlib import Path

from support.plugin import load_plugin

inventory_folder = load_plugin("filter/inventory.py").FilterModule().filters()["inventory_folder"]


def test_the_folder_of_an_inventory_and_of_a_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("")
    assert inventory_folder([str(tmp_path)]) == str(tmp_path)
    assert inventory_folder([str(tmp_path / "hosts.yml"), "/elsewhere"]) == str(tmp_path)
