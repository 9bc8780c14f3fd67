"""Sends a text and a file by the client that openapi-python-client has made."""

import io
import os

from meshgate import AuthenticatedClient
from meshgate.api.messages import send_message
from meshgate.models import MessagesQueued, SendMessage, SendMessageForm
from meshgate.types import File

client = AuthenticatedClient(base_url=os.environ["GATEWAY_URL"], token=os.environ["TOKEN"])
contact = os.environ["CONTACT"]
bodies = [
    SendMessage(platform="wa", contact=contact, text="a text by python"),
    SendMessageForm(
        platform="wa",
        contact=contact,
        text="a file by python",
        file=[File(io.BytesIO(b"hello"), os.environ["FILE_NAME"], "text/plain")],
    ),
]
for body in bodies:
    answer = send_message.sync(os.environ["DEVICE"], client=client, body=body)
    if not isinstance(answer, MessagesQueued):
        raise RuntimeError(answer)
    print("\n".join(message.id for message in answer.messages))
