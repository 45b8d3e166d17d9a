"""Run by test_every_setting.py in a process of its own: reads the settings and gunicorn's configuration once for each
case, as a start does, and prints what came of it. It is given a JSON list of environments, and prints a line for each.
"""

import contextlib
import io
import json
import os
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    str(ROOT / name): compile((ROOT / name).read_text(), str(ROOT / name), "exec")
    for name in ("deployer/settings.py", "gunicorn.conf.py")
}


def outcome(environment: dict[str, str]) -> dict[str, str]:
    os.environ.clear()
    os.environ.update(environment)
    os.umask(0o022)
    output = io.StringIO()
    try:
        with contextlib.redirect_stderr(output), contextlib.redirect_stdout(output):
            for file, code in FILES.items():
                exec(code, {"__name__": "read", "__file__": file})
    except SystemExit as end:
        return {"end": "refused", "text": str(end), "said": output.getvalue()}
    except BaseException:  # noqa: BLE001 - this is what is looked for
        return {"end": "broke", "text": traceback.format_exc(), "said": output.getvalue()}
    return {"end": "started", "text": "", "said": output.getvalue()}


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for case in json.load(sys.stdin):
        print(json.dumps(outcome(case)), flush=True)
