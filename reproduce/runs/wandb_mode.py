"""Whether runs are mirrored to Weights & Biases."""

import netrc
import os
import socket
from urllib.parse import urlsplit

from reproduce.errors import UserError


def _logged_in(host: str) -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def wandb_mode(wish: str, timeout: float = 2.0) -> str:
    """``online``, ``offline`` or ``off``.

    Args:
        wish: One of these, or ``auto``: online if the user is logged in and the server accepts a
            connection (wandb itself would wait for minutes), offline otherwise.
            ``WANDB_MODE=disabled`` or ``offline`` in the environment goes before ``auto``.
        timeout: Seconds to wait for the server.

    Raises:
        UserError: If ``wish`` is something else.
    """
    if wish not in ("auto", "online", "offline", "off"):
        raise UserError(f"--wandb {wish}: expected auto, online, offline or off")
    if wish != "auto":
        return wish
    mode = os.environ.get("WANDB_MODE", "")
    if mode in ("disabled", "offline"):
        return "off" if mode == "disabled" else "offline"
    server = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
    host = server.hostname or ""
    if not _logged_in(host):
        return "offline"
    try:
        port = server.port or (443 if server.scheme == "https" else 80)
        socket.create_connection((host, port), timeout).close()
    except OSError:
        return "offline"
    return "online"
