"""Configuration of the web process: `gunicorn -c gunicorn.conf.py deployer.wsgi`. Read from the environment."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # gunicorn reads this file before it sets the path

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
keepalive = 75  # longer than a reverse proxy's, so that the proxy closes first
sendfile = False  # the loop sends the rest of a response, not a thread: see client_socket.py
limit_request_line = 8190  # a form with some hundred selected hosts is still a URL
timeout = 60
graceful_timeout = env.number(
    "WEB_SHUTDOWN_TIMEOUT", 5, 1, 600
)  # event streams do not end by themselves; browsers reconnect
forwarded_allow_ips = ",".join(env.words("TRUSTED_PROXIES"))  # X-Forwarded-Proto of others is ignored
control_socket_disable = True  # not needed, and shared by all gunicorns of a user
accesslog = setting_paths.log_file("ACCESS_LOG")  # "-" is standard output
access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %({x-request-id}o)s'
logger_class = "deployer.web_process.access_log.AccessLog"
errorlog = "-"
loglevel = env.choice("LOG_LEVEL", ("info", "debug", "warning", "error", "critical"))


def on_starting(server):
    """Load the settings once before any worker starts: an invalid one stops the start.

    In a child process: workers load their own, so that a reload brings new code, and this process stays small. It keeps
    the environment that a reload needs, hidden from other processes.
    """
    privacy.deny_inspection()
    child = os.fork()
    if not child:
        status = 1
        try:
            import deployer.settings  # noqa: F401

            status = 0
        except BaseException as error:  # noqa: BLE001 - any error stops the start
            sys.stderr.write(f"{error}\n")
        os._exit(status)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)


def post_worker_init(worker):
    """Protect the process once the application and its settings are loaded."""
    privacy.protect_process()
    watchdog.arm()


if Path("/dev/shm").is_dir():  # noqa: S108 - the heartbeat file: on a disk it stalls the worker while the disk is slow
    worker_tmp_dir = "/dev/shm"  # noqa: S108
