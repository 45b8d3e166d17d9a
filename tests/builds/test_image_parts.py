"""The pure parts of an image's build: its output, its context, and when two are the same."""

from access.masking import Mask
from builds.contexts import own_files
from builds.engine_log import MAX_TAIL_BYTES, EngineLog
from builds.image_builds import fingerprint
from messages import Message

PUSH = Message("image_step.push", {"image": "registry.example/team/shop:1"})


def test_steps_and_what_they_say():
    log = EngineLog(Mask([]))
    log.begin(PUSH)
    log.line({"stream": 'Step 2/3 : RUN ["x"]\n'})
    log.line({"stream": " ---> Running in 12ab\n"})
    log.line({"stream": "no compiler\x00\ud800 here\n"})
    log.line({"stream": "Removing intermediate container 12ab\n"})
    assert (log.step, log.said) == ('Step 2/3 : RUN ["x"]', "no compiler   here")
    text = log.close()
    assert text.startswith("==> Pushing registry.example/team/shop:1\nStep 2/3")
    assert "\0" not in text and text.encode()


def test_a_layer_is_told_by_its_end():
    log = EngineLog(Mask([]))
    for status, detail in (("Preparing", {}), ("Waiting", {}), ("Pushing", {"current": 1}), ("Pushed", {})):
        log.line({"id": "12ab", "status": status, "progressDetail": detail})
    for seconds in range(10, 0, -1):
        log.line({"id": "12ab", "status": f"Retrying in {seconds} second{'s' * (seconds > 1)}", "progressDetail": {}})
    assert log.close() == "12ab: Pushed\n12ab: Retrying in 10 seconds\n12ab: Retrying in 5 seconds\n"


def test_secrets_are_masked_over_pieces_and_in_what_is_quoted():
    log = EngineLog(Mask(["canary-of-a-secret"]))
    log.line({"stream": "it is canary-of"})
    log.line({"stream": "-a-secret\n"})
    log.line({"stream": "again canary-of-a-secret\n"})
    assert "canary" not in log.close() + log.said


def test_only_the_end_is_kept():
    log = EngineLog(Mask([]))
    for _ in range(100):
        log.line({"stream": "x" * 9999 + "\n"})
    assert len(log.close()) == MAX_TAIL_BYTES
    assert log.printed == 100 * 10000


def test_odd_lines_do_no_harm():
    log = EngineLog(Mask([]))
    for line in ({}, {"stream": None}, {"status": 1}, {"id": [], "status": "x"}, {"aux": {}}):
        log.line(line)
    assert log.close() == "x\n"


def test_our_part_of_the_context_has_no_end():
    own = own_files({"base": "x", "files": [{"path": "/a", "text": "é", "mode": "0600"}]}, "FROM x\n")
    assert len(own) % 512 == 0 and not own.endswith(b"\0" * 1024)


def test_recipe_commit_and_base_make_a_build():
    recipe = {"base": "debian:12", "run": ["true"], "env": {"A": "1", "B": "2"}}
    same = {"env": {"B": "2", "A": "1"}, "run": ["true"], "base": "debian:12"}
    base = "docker.io/library/debian@sha256:" + "a" * 64
    assert fingerprint(recipe, "c0ffee1", base) == fingerprint(same, "c0ffee1", base)
    others = [
        (recipe, "c0ffee1", base[:-1] + "b"),
        (recipe, "c0ffee2", base),
        ({**recipe, "run": ["x"]}, "c0ffee1", base),
    ]
    assert fingerprint(recipe, "c0ffee1", base) not in [fingerprint(*other) for other in others]
