"""A further camera has the defaults of the first one."""

import yaml

from support.playbook import FIRST, ROOT, run_playbooks

CAMERAS = [
    {"name": "desk", "source": "/dev/video2"},
    {"name": "garden", "source": "rtsp://10.0.0.9/stream1"},
    {"name": "door", "source": "gst:v4l2src device=/dev/video4", "devices": ["/dev/video4"]},
]


def test_a_further_camera_may_open_its_source(tmp_path):
    tasks = yaml.safe_load((ROOT / "playbooks/tasks/cameras.yml").read_text())
    (devices,) = (each["vars"]["capture_devices"] for each in tasks if "capture_devices" in each.get("vars", {}))
    loop = {"loop": CAMERAS, "loop_control": {"loop_var": "further_camera"}}
    report = {"ansible.builtin.debug": {"msg": devices}, **loop}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"jetson": {}}}}))
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [report]}]))
    played = run_playbooks(FIRST / "ansible-playbook", tmp_path / "hosts.yml", [tmp_path / "play.yml"])
    assert played.rc == 0, played.output
    (result,) = (each["jetson"] for each in played.results)
    assert [item["msg"] for item in result["results"]] == [["/dev/video2"], [], ["/dev/video4"]]


def test_each_file_for_a_csi_camera_has_a_template():
    files = yaml.safe_load((ROOT / "roles/capture/vars/main.yml").read_text())["__capture_argus_files"]
    templates = {path.name for path in (ROOT / "roles/capture/templates").iterdir()}
    assert templates == {f"argus.{name}.j2" for name in files}
