"""Logs of processes: one object a line, with the fields of log_context."""

import json
import logging
import threading

import pytest

from runtime.logs import JsonFormatter, TextFormatter, log_context


def line(text="it begins", *arguments, formatter=None, error=None) -> str:
    record = logging.LogRecord("worker.execution", logging.INFO, "x.py", 1, text, arguments, error)
    return (formatter or JsonFormatter()).format(record)


def test_line_is_one_json_object():
    with log_context(deployment=3, operation=7), log_context(host="h1", request=""):
        logged = json.loads(line("%s begins", "upgrade"))
    assert (logged["text"], logged["level"], logged["logger"]) == ("upgrade begins", "info", "worker.execution")
    assert (logged["deployment"], logged["operation"], logged["host"]) == (3, 7, "h1") and "request" not in logged
    assert "operation" not in json.loads(line())


def test_text_cannot_add_a_line():
    with log_context(host='h\n{"level": "error"}'):
        assert len(line('one\n{"text": "two"}\r\x1b[31m\u2028').splitlines()) == 1


def test_traceback_is_in_the_same_line():
    try:
        raise ValueError("no such thing")
    except ValueError as error:
        logged = line(error=(ValueError, error, error.__traceback__))
    assert "no such thing" in json.loads(logged)["error"] and len(logged.splitlines()) == 1


def test_threads_have_their_own_context():
    seen, both = {}, threading.Barrier(2)

    def work(number):
        with log_context(operation=number):
            both.wait()
            seen[number] = json.loads(line())["operation"]

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {1: 1, 2: 2}


def test_text_format_is_readable():
    with log_context(operation=7):
        logged = line(formatter=TextFormatter())
    assert logged.endswith("INFO    worker.execution: it begins [operation=7]")


@pytest.mark.parametrize("debug", ["0", "1"])
def test_processes_log_in_the_configured_format(debug, tmp_path):
    import os
    import subprocess
    import sys

    code = "import django; django.setup(); import logging; logging.getLogger('x').warning('hello')"
    environment = {**os.environ, "DEBUG": debug, "DJANGO_SETTINGS_MODULE": "deployer.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stderr
    assert (json.loads(done)["text"] == "hello") if debug == "0" else ("WARNING x: hello" in done)
