"""Which line of a failed command's output names the cause: real outputs, and the line that a person would choose."""
# ruff: noqa: E501  what programs print is as long as it is

import time

import pytest

from deployer.engine.error_lines import bare, cause

pytestmark = [pytest.mark.pure, pytest.mark.found("output")]

E = "\x1b"
SAID = {
    "docker run, a name in use": (
        'docker: Error response from daemon: Conflict. The container name "/shop" is already in use by container "4f9d".\n'
        "See 'docker run --help'.\n",
        'docker: Error response from daemon: Conflict. The container name "/shop" is already in use by container "4f9d".',
    ),
    "docker run, newer": (
        "Unable to find image 'shop:v9' locally\n"
        "docker: Error response from daemon: pull access denied for shop, repository does not exist or may require "
        "'docker login'\n\nRun 'docker run --help' for more information\n",
        "docker: Error response from daemon: pull access denied for shop, repository does not exist or may require "
        "'docker login'",
    ),
    "docker run, a port in use": (
        "7f2a3c\ndocker: Error response from daemon: driver failed programming external connectivity on endpoint shop: "
        "Bind for 0.0.0.0:8080 failed: port is already allocated.\nERRO[0000] error waiting for container:\n",
        "docker: Error response from daemon: driver failed programming external connectivity on endpoint shop: "
        "Bind for 0.0.0.0:8080 failed: port is already allocated.",
    ),
    "docker compose": (
        f" {E}[33m⠿{E}[0m Container shop  Starting\r {E}[31m⠿{E}[0m Container shop  Error\n"
        "dependency failed to start: container db is unhealthy\n",
        "dependency failed to start: container db is unhealthy",
    ),
    "systemctl start": (
        "Job for shop.service failed because the control process exited with error code.\n"
        'See "systemctl status shop.service" and "journalctl -xeu shop.service" for details.\n',
        "Job for shop.service failed because the control process exited with error code.",
    ),
    "systemctl, older": (
        "Job for shop.service failed because a timeout was exceeded. \n"
        "See 'systemctl status shop.service' and 'journalctl -xn' for details.\n",
        "Job for shop.service failed because a timeout was exceeded.",
    ),
    "systemctl, no unit": (
        "Failed to start shop.service: Unit shop.service not found.\n",
        "Failed to start shop.service: Unit shop.service not found.",
    ),
    "npm 10": (
        "npm error code ENOENT\nnpm error syscall open\nnpm error path /srv/shop/package.json\nnpm error errno -2\n"
        "npm error enoent Could not read package.json: Error: ENOENT: no such file or directory, open '/srv/shop/package.json'\n"
        "npm error enoent This is related to npm not being able to find a file.\nnpm error enoent\n"
        "npm error A complete log of this run can be found in: /root/.npm/_logs/2026-01-01T00_00_00_000Z-debug-0.log\n",
        "npm error enoent Could not read package.json: Error: ENOENT: no such file or directory, open "
        "'/srv/shop/package.json'",
    ),
    "npm 6": (
        "npm ERR! code ELIFECYCLE\nnpm ERR! errno 1\nnpm ERR! shop@1.0.0 start: `node server.js`\nnpm ERR! Exit status 1\n"
        "npm ERR!\nnpm ERR! Failed at the shop@1.0.0 start script.\n\n"
        "npm ERR! A complete log of this run can be found in:\n"
        "npm ERR!     /root/.npm/_logs/2026-01-01T00_00_00_000Z-debug.log\n",
        "npm ERR! Failed at the shop@1.0.0 start script.",
    ),
    "npm 6, and what the script said": (
        "Error: no database\nnpm ERR! code ELIFECYCLE\nnpm ERR! shop@1.0.0 start: `node server.js`\n"
        "npm ERR! Exit status 1\nnpm ERR! Failed at the shop@1.0.0 start script.\n",
        "Error: no database",
    ),
    "java": (
        'Exception in thread "main" java.lang.IllegalStateException: cannot start\n'
        "\tat com.shop.Main.start(Main.java:31)\n\tat com.shop.Main.main(Main.java:9)\n"
        "Caused by: java.net.BindException: Address already in use\n"
        "\tat java.base/sun.nio.ch.Net.bind0(Native Method)\n\tat java.base/sun.nio.ch.Net.bind(Net.java:565)\n"
        "\t... 12 more\n",
        "Caused by: java.net.BindException: Address already in use",
    ),
    "java, one exception": (
        "Error: Unable to access jarfile shop.jar\n",
        "Error: Unable to access jarfile shop.jar",
    ),
    "python": (
        "Traceback (most recent call last):\n"
        '  File "/srv/shop/serve.py", line 1, in <module>\n    import fastapi\n'
        "ModuleNotFoundError: No module named 'fastapi'\n",
        "ModuleNotFoundError: No module named 'fastapi'",
    ),
    "node": (
        "node:internal/modules/cjs/loader:1080\n  throw err;\n  ^\n\nError: Cannot find module 'express'\n"
        "Require stack:\n- /srv/shop/server.js\n"
        "    at Module._resolveFilename (node:internal/modules/cjs/loader:1077:15)\n"
        "    at Module._load (node:internal/modules/cjs/loader:922:27)\n"
        "    at async Promise.all (index 0)\n"
        "    at node:internal/main/run_main_module:23:47 {\n  code: 'MODULE_NOT_FOUND',\n"
        "  requireStack: [ '/srv/shop/server.js' ]\n}\n\nNode.js v20.11.1\n",
        "Error: Cannot find module 'express'",
    ),
    "node, a port in use": (
        "node:events:497\n      throw er; // Unhandled 'error' event\n      ^\n\n"
        "Error: listen EADDRINUSE: address already in use :::8080\n"
        "    at Server.setupListenHandle [as _listen2] (node:net:1817:16)\n"
        "Emitted 'error' event on Server instance at:\n    at emitErrorNT (node:net:1796:8) {\n"
        "  code: 'EADDRINUSE',\n  errno: -98,\n  syscall: 'listen',\n  address: '::',\n  port: 8080\n}\n\nNode.js v20.11.1\n",
        "Error: listen EADDRINUSE: address already in use :::8080",
    ),
    "go": (
        "panic: runtime error: invalid memory address or nil pointer dereference\n"
        "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x47d2a1]\n\ngoroutine 1 [running]:\n"
        "main.main()\n\t/srv/shop/main.go:8 +0x1d\nexit status 2\n",
        "panic: runtime error: invalid memory address or nil pointer dereference",
    ),
    "rust": (
        "thread 'main' panicked at src/main.rs:4:37:\ncalled `Result::unwrap()` on an `Err` value: AddrInUse\n"
        "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
        "called `Result::unwrap()` on an `Err` value: AddrInUse",
    ),
    "ruby": (
        "config.ru:3:in `require': cannot load such file -- sinatra (LoadError)\n\tfrom config.ru:3:in `block in <main>'\n"
        "\tfrom /usr/bin/rackup:25:in `<main>'\n",
        "config.ru:3:in `require': cannot load such file -- sinatra (LoadError)",
    ),
    "tar": (
        "tar: site.css: Cannot open: No space left on device\ntar: Exiting with failure status due to previous errors\n",
        "tar: site.css: Cannot open: No space left on device",
    ),
    "tar of a broken archive": (
        "gzip: stdin: unexpected end of file\ntar: Unexpected EOF in archive\ntar: Error is not recoverable: exiting now\n",
        "tar: Unexpected EOF in archive",
    ),
    "tar's child": (
        "\ngzip: stdin: not in gzip format\ntar: Child returned status 1\ntar: Error is not recoverable: exiting now\n",
        "gzip: stdin: not in gzip format",
    ),
    "sudo": ("sudo: a password is required\n", "sudo: a password is required"),
    "sudo, old": (
        "sudo: sorry, you must have a tty to run sudo\n",
        "sudo: sorry, you must have a tty to run sudo",
    ),
    "sudo in a terminal": (
        "sudo: a terminal is required to read the password; either use the -S option to read from standard input or "
        "configure an askpass helper\nsudo: a password is required\n",
        "sudo: a password is required",
    ),
    "PAM": (
        "WARNING: Your password has expired.\nPassword change required but no TTY available.\n",
        "Password change required but no TTY available.",
    ),
    "make": (
        "cc -o shop shop.c\nshop.c:1:10: fatal error: openssl/ssl.h: No such file or directory\n"
        "compilation terminated.\nmake: *** [Makefile:2: shop] Error 1\n",
        "shop.c:1:10: fatal error: openssl/ssl.h: No such file or directory",
    ),
    "an option that is not there": (
        "gunicorn: error: unrecognized arguments: --wrokers\nTry 'gunicorn --help' for more information.\n",
        "gunicorn: error: unrecognized arguments: --wrokers",
    ),
    "argparse": (
        "usage: serve [-h] [--port PORT]\nserve: error: argument --port: invalid int value: 'x'\n",
        "serve: error: argument --port: invalid int value: 'x'",
    ),
    "click": (
        "Usage: serve [OPTIONS]\nTry 'serve --help' for help.\n\nError: No such option: --prot\n",
        "Error: No such option: --prot",
    ),
    "set -x": (
        "+ curl -fsS http://127.0.0.1:8080/health\ncurl: (22) The requested URL returned error: 404\n+ exit 1\n",
        "curl: (22) The requested URL returned error: 404",
    ),
    "colours and blank lines": (f"{E}[1m{E}[31mERROR{E}[0m: no config{E}[K\n\n{E}[0m\n  \n", "ERROR: no config"),
    "a progress bar": ("".join(f"\rloading {n} %" for n in range(200)) + "\rno such mirror\n", "no such mirror"),
    "a progress bar, and an error below": (
        "".join(f"\r{n} %" for n in range(101)) + "\nchecksum mismatch\n\n",
        "checksum mismatch",
    ),
    "lines of Windows": ("first\r\ncannot open the database\r\n\r\n", "cannot open the database"),
    "maven": (
        "[ERROR] Failed to execute goal exec:java on project shop: port 8080 in use -> [Help 1]\n[ERROR] \n"
        "[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.\n"
        "[ERROR] Re-run Maven using the -X switch to enable full debug logging.\n[ERROR] \n"
        "[ERROR] For more information about the errors and possible solutions, please read the following articles:\n"
        "[ERROR] [Help 1] http://cwiki.apache.org/confluence/display/MAVEN/MojoExecutionException\n",
        "[ERROR] Failed to execute goal exec:java on project shop: port 8080 in use -> [Help 1]",
    ),
    "git": (
        "fatal: not a git repository (or any of the parent directories): .git\n",
        "fatal: not a git repository (or any of the parent directories): .git",
    ),
    "psql": (
        'psql: error: connection to server at "db" (10.0.0.5), port 5432 failed: Connection refused\n'
        "\tIs the server running on that host and accepting TCP/IP connections?\n",
        'psql: error: connection to server at "db" (10.0.0.5), port 5432 failed: Connection refused',
    ),
    "nginx": (
        "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)\nnginx: configuration file test failed\n",
        "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)",
    ),
    "kubectl": (
        'error: the server doesn\'t have a resource type "pod"\n',
        'error: the server doesn\'t have a resource type "pod"',
    ),
    "nothing but advice": (
        "Run 'docker run --help' for more information\n",
        "Run 'docker run --help' for more information",
    ),
    "nothing": ("\n\n", ""),
}


@pytest.mark.parametrize("name", SAID)
def test_finds_line_that_names_cause(name):
    said, expected = SAID[name]
    assert cause(said.split("\n")) == expected


def test_line_is_rendered_as_terminal_shows_it():
    assert bare(f"10 %\r50 %\r{E}[32mdone{E}[0m\r") == "done"
    assert bare(f"{E}]0;title\x07a\tb{E}[2K") == "a b"
    assert bare("\x1b[?25l\r\n") == ""


@pytest.mark.parametrize(
    "piece", ["\r", "\x1b[", "\t", "at ", "see '", "((((", "... ", "a: ", "npm ERR! ", '"', "\x1b]"]
)
def test_hostile_lines_take_linear_time(piece):
    began = time.process_time()
    cause([piece * 2000] * 200)
    assert time.process_time() - began < 2
