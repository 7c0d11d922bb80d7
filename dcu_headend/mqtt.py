"""The edge to the broker, by paho-mqtt (2.1 or later), which nothing else here needs: hear DCUs, send them commands.

What is heard is acknowledged when it is safe, not before: then nothing is lost, whatever ends when.
"""

import logging
import math
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Final

try:
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion
    from paho.mqtt.reasoncodes import ReasonCode
except ImportError:
    raise ImportError(
        "dcu_headend.mqtt needs paho-mqtt 2.1 or later (Debian 12 has 1.6); all else of dcu_headend does without"
    ) from None

from dcu_headend.block import DecodeError
from dcu_headend.decoding import Message, decode
from dcu_headend.following import Follower

#: What DCUs send, under `{prefix}/{dcu}/`.
BIRTHS: Final = "state"
LEAVES: Final = (BIRTHS, "data/+", "event", "result", "meter/+/state", "health")

#: What a broker says that is not ready yet.
BUSY: Final = "Server unavailable"

#: Takes a message, which is acknowledged when this returns. What it raises ends the listening; the message comes again.
Take = Callable[[Message], None]

#: Hears of a message that nobody understands: (topic, payload, what is wrong). It is acknowledged, and not sent again.
Refuse = Callable[[str, bytes, DecodeError], None]

#: Has a listener say what is to be said to DCUs: every TEND_EVERY seconds while messages come (`health` does for sure).
Tend = Callable[["Listener"], None]
TEND_EVERY: Final = 60.0

#: Seconds until a broker is tried again that was not there when the listening began.
RETRY: Final = 5.0

log = logging.getLogger(__name__)


class Listener:
    """Hears the DCUs under `prefix`, all or one, in a session that outlasts the connection.

    Listeners with the same `share` divide the messages among them (a shared subscription: MQTT 5, and most brokers for
    3.1.1, too); each needs an `identifier` of its own. Births each of them hears; of what else the broker has retained
    none. A follower of one of them knows what came to the others by `Follower.adopt` alone: without, their blocks are
    gaps to it, which `Asking` has sent again, and what it acknowledges lags behind.
    """

    def __init__(
        self,
        take: Take,
        refuse: Refuse,
        *,
        identifier: str,
        prefix: str = "ami/v1",
        dcu: str = "+",
        share: str | None = None,
    ) -> None:
        self._take, self._refuse = take, refuse
        self._prefix = prefix
        self._tend: Tend | None = None
        self._tended = -math.inf
        self._stopping = threading.Event()
        shared = "" if share is None else f"$share/{share}/"
        # a birth is retained, which no share hears, and says to each follower where the streams begin
        shares = {leaf: "" if leaf == BIRTHS else shared for leaf in LEAVES}
        self._topics = [(f"{share}{prefix}/{dcu}/{leaf}", 1) for leaf, share in shares.items()]
        # 3.1.1, which every broker speaks
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=identifier, clean_session=False, manual_ack=True
        )
        self.client.on_connect = self._connected
        self.client.on_subscribe = self._subscribed
        self.client.on_message = self._heard

    def run(
        self,
        host: str,
        port: int = 8883,
        *,
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        tend: Tend | None = None,
    ) -> None:
        """Listen until `stop`, through any outage of the broker; `tend` is called in between, when a message was taken.

        A broker that is not there yet is waited for, and why is logged. Raises SSLCertVerificationError when it is none
        to be trusted then, and ConnectionRefusedError whenever it refuses the login or a subscription, or grants one at
        QoS 0, by which messages could be lost: somebody has to mend that.
        """
        self._tend = tend
        if tls is not None:
            self.client.tls_set_context(tls)
        if login is not None:
            self.client.username_pw_set(*login)
        if self._reach(host, port):
            self.client.loop_forever()
        self._stopping.clear()

    def stop(self) -> None:
        """Let `run` return."""
        self._stopping.set()
        self.client.disconnect()

    def _reach(self, host: str, port: int) -> bool:
        """Connect as soon as the broker is there; return False when it was told to stop before."""
        said = ""
        while not self._stopping.is_set():
            try:
                self.client.connect(host, port)
            except ssl.SSLCertVerificationError:
                raise
            except OSError as error:
                if said != (said := str(error)):
                    log.warning(
                        "the broker at %s:%s cannot be reached, tried every %.0f s: %s", host, port, RETRY, error
                    )
                self._stopping.wait(RETRY)
            else:
                return True
        return False

    def send(self, dcu: str, command: bytes) -> None:
        """Send what `commands.command` made; to every DCU when `dcu` is _all."""
        self.client.publish(f"{self._prefix}/{dcu}/command", command, qos=1)

    def acknowledge(self, follower: Follower) -> None:
        """Tell DCUs that wait for it what the head-end has; call it when that is kept, as often as is fit."""
        for dcu, word in follower.acknowledgements().items():
            self.client.publish(f"{self._prefix}/{dcu}/ack", word, qos=1)

    def _connected(self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _more: Any) -> None:
        if reason == BUSY:
            return  # paho tries again
        if reason.is_failure:
            raise ConnectionRefusedError(f"the broker refuses the connection: {reason}")
        client.subscribe(self._topics)

    def _subscribed(self, _client: paho.Client, _data: Any, _id: int, reasons: list[ReasonCode], _more: Any) -> None:
        if len(reasons) != len(self._topics):
            raise ConnectionRefusedError(f"the broker answers {len(reasons)} of {len(self._topics)} subscriptions")
        for (topic, _), reason in zip(self._topics, reasons, strict=True):
            if reason.is_failure:
                raise ConnectionRefusedError(f"the broker refuses {topic}: {reason}")
            if reason.value == 0:
                raise ConnectionRefusedError(f"the broker grants QoS 0 only for {topic}: messages could be lost")

    def _heard(self, client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        payload = bytes(message.payload)
        if not payload:  # what was retained of a meter that has gone is cleared
            client.ack(message.mid, message.qos)
            return
        try:
            found = decode(payload)
        except DecodeError as error:
            self._refuse(message.topic, payload, error)
        else:
            self._take(found)
        client.ack(message.mid, message.qos)
        self._look()

    def _look(self) -> None:
        if self._tend is not None and time.monotonic() - self._tended >= TEND_EVERY:
            self._tended = time.monotonic()
            self._tend(self)
