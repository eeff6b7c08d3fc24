"""Whether runs are mirrored to Weights & Biases."""

import http.client
import netrc
import os
import threading
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from reproduce.errors import UserError

#: Seconds that the server has to answer before a table goes on without it (wandb itself would wait
#: for more than a minute), and where the user wants it.
TIMEOUT, PATIENCE = 1.2, 10.0


#: Key under which ``wandb login`` of older versions wrote for the public service.
PUBLIC = "api.wandb.ai"


def server_url() -> str:
    """Address of the server, without a slash at its end: the environment's, else wandb's own."""
    url = os.environ.get("WANDB_BASE_URL")
    if not url:
        import wandb  # 0.4 s

        url = wandb.setup().settings.base_url
    return url.rstrip("/")


def logged_in() -> bool:
    """Whether there is a key for the server, in the environment or from ``wandb login``."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        keys = netrc.netrc(os.environ.get("NETRC"))
    except (OSError, netrc.NetrcParseError):
        return False
    hosts = [urlsplit(server_url()).netloc]
    if "WANDB_BASE_URL" not in os.environ:
        hosts.append(PUBLIC)
    return any(keys.authenticators(host) for host in hosts)


def _ask(url: str, timeout: float, answered: threading.Event) -> None:
    try:
        urllib.request.urlopen(f"{url}/healthz", timeout=timeout).close()  # noqa: S310 - the user's own server
    except urllib.error.HTTPError:
        pass  # whatever it says, it is there
    except (OSError, ValueError, http.client.HTTPException):
        return
    answered.set()


def server_answers(timeout: float) -> bool:
    """Whether the server answers a request, through the proxy of the environment if there is one.

    Args:
        timeout: Seconds after which it does not, the look-up of its name included.
    """
    answered = threading.Event()
    asking = threading.Thread(target=_ask, args=(server_url(), timeout, answered), daemon=True)
    asking.start()
    asking.join(timeout)
    return answered.is_set()


def wandb_mode(wish: str, timeout: float = TIMEOUT) -> str:
    """``online``, ``offline`` or ``off``.

    Args:
        wish: One of these, or ``auto``: online if the user is logged in and the server answers,
            offline otherwise. ``WANDB_MODE=disabled`` or ``offline`` in the environment goes
            before ``auto``.
        timeout: Seconds to wait for the server with ``auto``.

    Raises:
        UserError: If ``wish`` is something else, or ``online`` and that is not possible.
    """
    if wish not in ("auto", "online", "offline", "off"):
        raise UserError(f"--wandb {wish}: expected auto, online, offline or off")
    if wish in ("offline", "off"):
        return wish
    mode = os.environ.get("WANDB_MODE", "")
    if wish == "auto" and mode in ("disabled", "offline"):
        return "off" if mode == "disabled" else "offline"
    if wish == "online":
        check_server()
        return "online"
    return "online" if logged_in() and server_answers(timeout) else "offline"


def check_server(timeout: float = PATIENCE) -> None:
    """Refuse what needs the server of Weights & Biases where it cannot be used.

    Raises:
        UserError: If the user is not logged in, or the server does not answer in time.
    """
    if not logged_in():
        raise UserError(
            f"not logged in to Weights & Biases at {server_url()}: give .venv/bin/wandb login, or "
            "set WANDB_API_KEY"
        )
    if not server_answers(timeout):
        raise UserError(
            f"Weights & Biases at {server_url()} does not answer within {timeout:g} s: check the "
            "network or WANDB_BASE_URL; --wandb offline needs neither"
        )
