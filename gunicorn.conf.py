"""The web process: `gunicorn -c gunicorn.conf.py deployer.wsgi`. Read from the environment, as the settings are."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # gunicorn reads this before it looks for the application

from runtime import environment as env
from runtime import privacy, setting_paths, watchdog
from runtime.renamed_settings import refuse_renamed

refuse_renamed()
wsgi_app = "deployer.wsgi"
bind = setting_paths.bind_address("BIND", env.number("PORT", 8000, 1, 65535))
worker_class = "deployer.web_process.gunicorn_worker.Worker"  # gthread
workers = env.number("WEB_PROCESSES", 1, 1, 64)
threads = env.number("WEB_THREADS", 32, 2, 1000)  # live streams take WEB_THREADS - 8 of them at most
worker_connections = 2000
backlog = 2048
keepalive = 75  # longer than a reverse proxy keeps its side open, so the proxy is the one that closes
sendfile = False  # what a slow client does not take is sent on by the loop, not by a thread: see client_stream.py
limit_request_line = 8190  # the dialog with some hundred ticked hosts is still an address
timeout = 60
graceful_timeout = env.number(
    "WEB_SHUTDOWN_TIMEOUT", 5, 1, 600
)  # live streams do not end by themselves; browsers come again
forwarded_allow_ips = ",".join(env.words("TRUSTED_PROXIES"))  # nobody else's X-Forwarded-Proto is believed
control_socket_disable = True  # nothing here needs it, and it would be shared by all of a user's gunicorns
accesslog = setting_paths.log_file("ACCESS_LOG")  # "-" is standard output
access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %({x-request-id}o)s'
logger_class = "deployer.web_process.access_log.AccessLog"
errorlog = "-"
loglevel = env.choice("LOG_LEVEL", ("info", "debug", "warning", "error", "critical"))


def on_starting(server):
    """Reads the settings once before any worker is started: a bad one stops the start, instead of every worker's.

    In a child: workers read their own, so that a reload brings new code with it, and this process stays small. It keeps
    the environment that a reload needs, out of everybody's sight."""
    privacy.deny_inspection()
    child = os.fork()
    if not child:
        status = 1
        try:
            import deployer.settings  # noqa: F401

            status = 0
        except BaseException as error:  # noqa: BLE001 - whatever it is stops the start, and this child ends here
            sys.stderr.write(f"{error}\n")
        os._exit(status)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)


def post_worker_init(worker):
    """The application is loaded, so its settings are read."""
    privacy.protect_process()
    watchdog.arm()


if Path("/dev/shm").is_dir():  # noqa: S108 - the heartbeat file: on a disk it stalls the worker while the disk is slow
    worker_tmp_dir = "/dev/shm"  # noqa: S108
