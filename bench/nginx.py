"""An nginx in front of the broker, as in deploy/nginx.conf but without TLS: browsers open a connection per request."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.brokers import is_free
from bench.stores import free_port, run_program

_READY_WITHIN: Final = 20.0
_CONFIGURATION: Final = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_timeout 0;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        client_body_buffer_size 1m;
        proxy_buffers 16 16k;
        location / {{
            proxy_pass http://127.0.0.1:{broker};
            proxy_http_version 1.1;
            proxy_set_header Host $host:{broker};
            proxy_set_header Connection "";
        }}
    }}
}}
"""


@contextmanager
def nginx_in_front(broker: int) -> Iterator[tuple[str, int]]:
    """Run nginx in front of the broker at this port; give the origin that browsers connect to, and its process id."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-nginx-") as folder:
        file = Path(folder) / "nginx.conf"
        file.write_text(_CONFIGURATION.format(folder=folder, port=port, broker=broker))
        with run_program(("nginx", "-e", f"{folder}/error.log", "-c", str(file))) as pid:
            until = time.monotonic() + _READY_WITHIN
            while is_free(port) and time.monotonic() < until:
                time.sleep(0.05)
            yield f"http://broker.localhost:{port}", pid
