"""`GET /chat/config`, `/chat/widget.js` and `/chat/assets/`: what a page of the shop needs to show the chat.

The files are the same for everybody and hold no secret, so any site may fetch them; the settings are read by the shop's
own pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from aiohttp import web

from gateway.domain.errors import Unavailable
from gateway.services.presence import Presence
from gateway.web.origins import ShopOrigins
from gateway.web.static import StaticFiles

CONFIG_PATH = "/chat/config"
WIDGET_PATH = "/chat/widget.js"

Ask = Literal["off", "optional", "required"]
# Ids of the taxonomy; what is none of the others is `other`.
TOPICS = (
    "order.status",
    "delivery.tracking",
    "return.start",
    "refund.progress",
    "presales.usage",
    "other",
)
# A page of any site may run the widget (CORS and Cross-Origin-Resource-Policy, Fetch standard 2026).
_FOR_EVERY_SITE = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFace:
    """What a visitor is shown and asked before they have said anything."""

    shop: str = "Customer service"
    ask_topic: Ask = "optional"
    ask_name: Ask = "optional"
    ask_email: Ask = "optional"
    topics: Sequence[str] = TOPICS
    privacy_url: str | None = None
    answers_within_min: int | None = None


class _Questions(msgspec.Struct):
    topic: Ask
    name: Ask
    email: Ask


class _Config(msgspec.Struct):
    shop: str
    ask: _Questions
    topics: Sequence[str]
    privacy_url: str | None
    is_open: bool  # an agent is there now
    answers_within_min: int | None
    max_upload_bytes: int
    has_transcript: bool  # it can be sent by e-mail


class ChatPages:
    def __init__(
        self,
        face: ChatFace,
        presence: Presence,
        origins: ShopOrigins,
        *,
        front_end: Path,
        max_upload_bytes: int,
        has_transcript: bool,
    ) -> None:
        self._face = face
        self._presence = presence
        self._origins = origins
        self._files = StaticFiles(front_end / "chat")
        self._max_upload_bytes = max_upload_bytes
        self._has_transcript = has_transcript

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(CONFIG_PATH, self.show_config),
            web.get(WIDGET_PATH, self.show_widget),
            web.get("/chat/assets/{name}", self.show_asset),
        ]

    async def show_config(self, request: web.Request) -> web.Response:
        """Answer with what the widget has to know before its socket is open; it is asked again at each opening."""
        self._origins.require(request)
        face = self._face
        config = _Config(
            shop=face.shop,
            ask=_Questions(topic=face.ask_topic, name=face.ask_name, email=face.ask_email),
            topics=face.topics,
            privacy_url=face.privacy_url,
            is_open=await self._is_open(),
            answers_within_min=face.answers_within_min,
            max_upload_bytes=self._max_upload_bytes,
            has_transcript=self._has_transcript,
        )
        # Who is there changes by the minute; and the shop's site is another origin than ours.
        headers = {"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "cross-origin"}
        return web.Response(body=msgspec.json.encode(config), content_type="application/json", headers=headers)

    async def _is_open(self) -> bool:
        try:
            return await self._presence.is_anyone_there()
        except Unavailable:
            return False  # the chat goes on without its database; that somebody is there can't be promised

    async def show_widget(self, request: web.Request) -> web.Response:
        return await self._files.answer(request, "widget.js", _FOR_EVERY_SITE)

    async def show_asset(self, request: web.Request) -> web.Response:
        return await self._files.answer(request, f"assets/{request.match_info['name']}", _FOR_EVERY_SITE)
