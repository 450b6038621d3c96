"""nginx as a bare proxy with an access log: the floor that a proxy written in C sets on this machine."""

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from chatvault.bench.processes import wait_port

_CONFIG: Final = """
daemon off; master_process off; pid {home}/pid; error_log {home}/errors;
events {{ worker_connections 8192; }}
http {{
  access_log {home}/access.log; keepalive_requests 100000000;
  client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u;
  scgi_temp_path {home}/s;
  upstream provider {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port} backlog=8192;
    location / {{
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


def nginx_path() -> str | None:
    """Where nginx is, if it is installed."""
    return shutil.which("nginx") or shutil.which("/usr/sbin/nginx")


@contextmanager
def nginx(program: str, home: Path, upstream: int) -> Iterator[tuple[int, int]]:
    """Its port and process id, while it runs. Raises OperatorError where it does not."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    home.mkdir()
    config = home / "nginx.conf"
    config.write_text(_CONFIG.format(home=home, upstream=upstream, port=port))
    process = subprocess.Popen(
        [program, "-c", str(config), "-e", str(home / "errors")],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_port(port)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
