"""A part measures the clips that are named, or says which there are."""

import json

import pytest

from bench.eyes.__main__ import main


@pytest.mark.parametrize(
    ("part", "known"), [("visits", "doorway, hamilton"), ("cost", "street, rooms, static, shop, shop_static")]
)
def test_an_unknown_clip_is_refused(tmp_path, capsys, part, known):
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "passages_768x432.gt.json").write_text(json.dumps({"boxes": {}, "file": "doorway.mp4"}))
    (videos / "video_gt.json").write_text(json.dumps({"hamilton": {"boxes": {}, "file": "hamilton.mp4"}}))
    with pytest.raises(SystemExit) as ended:
        main([part, "--clips", "hamilto", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"bin/bench eyes: error: no clip hamilto; there are {known}"
