"""What the far end answers, by host and path: Codex's and Claude's services, and an echo for the rest.

The configuration is a JSON file that is read again at each request; every key may be left out:

    require         {"chatgpt.com": "Bearer X"}: without exactly this one Authorization, 401, as the real service says
    status          {"auth.openai.com/oauth/token": 403}: a status in place of an answer, by host and path (without query), or for one method:
                    {"GET chatgpt.com/backend-api/codex/responses": 426} refuses the websocket alone. oauth/token says
                    401 unless it is set to 200
    account         the account that wham/accounts/check knows (default: the one that asks)
    origin          the `workspace_backend_origin` that it names (default: "NO_CONSTRAINT")
    text            what the models say (default: TEXT)
    pause           seconds between two events of an answer (default: 0.02)
    names           {"name": "address"}: answers of the name server, see fake_names.py
"""
import asyncio
import base64
import json
import re
import time
from urllib.parse import parse_qs, urlsplit

from fake_http import Response, Websocket

TEXT = "hello from the far end"
CREDENTIALS = {"authorization", "proxy-authorization", "cookie", "x-api-key", "x-goog-api-key", "x-token", "private-token"}


def as_json(status, value):
    return Response(status, [["content-type", "application/json"]], json.dumps(value).encode())


def refusal(status, message="refused by the far end", code="far_end"):
    return as_json(status, {"type": "error", "error": {"type": code, "code": code, "message": message}})


async def events(values, pause):
    """Server-sent events, one piece each."""
    for value in values:
        yield f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()
        await asyncio.sleep(pause)


def stream(values, pause):
    return Response(200, [["content-type", "text/event-stream"]], events(values, pause))


def responses_turn(text):
    """A turn of OpenAI's Responses, as far as Codex needs it."""
    item = {"type": "message", "role": "assistant", "id": "msg_far_end", "content": [{"type": "output_text", "text": text}]}
    usage = {"input_tokens": 1, "input_tokens_details": None, "output_tokens": 1, "output_tokens_details": None, "total_tokens": 2}
    return [
        {"type": "response.created", "response": {"id": "resp_far_end"}},
        {"type": "response.output_item.added", "item": item | {"content": []}},
        *({"type": "response.output_text.delta", "delta": word} for word in re.findall(r"\S+\s*", text)),
        {"type": "response.output_item.done", "item": item},
        {"type": "response.completed", "response": {"id": "resp_far_end", "usage": usage}},
    ]


def messages_turn(text, model):
    """A turn of Anthropic's Messages: the whole message, and the events that stream it."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_far_end", "type": "message", "role": "assistant", "model": model, "usage": usage,
               "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": None}
    delta = lambda word: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
    return message, [
        {"type": "message_start", "message": message | {"content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(delta(word) for word in re.findall(r"\S+\s*", text)),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]


def fresh_jwt():
    encode = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    return f'{encode({"alg": "none", "typ": "JWT"})}.{encode({"exp": int(time.time()) + 3600})}.ZmFyLWVuZA'


class Services:
    """`answer` is given every request."""

    def __init__(self, config_file):
        self.config_file, self.config, self.text = config_file, {}, None

    def read_config(self):
        text = self.config_file.read_text() if self.config_file and self.config_file.exists() else "{}"
        if text != self.text:
            self.config, self.text = json.loads(text), text
        return self.config

    async def answer(self, request):
        config, host, path = self.read_config(), request.host, urlsplit(request.target).path
        given = request.values("authorization")
        statuses = config.get("status", {})
        status = statuses.get(f"{request.method} {host}{path}", statuses.get(host + path))

        if host in config.get("require", {}) and given != [config["require"][host]]:
            return refusal(401, "this is not the token of this service", "invalid_token")
        if status and status != 200:
            return refusal(status)

        if request.method == "TRACE":
            return Response(200, [["content-type", "message/http"]], repr(request.headers).encode())
        if path in self.ANYWHERE:
            return self.ANYWHERE[path](self, request)
        if host in self.HOSTS:
            return self.HOSTS[host](self, request, path, status)
        shown = [[name, "(sent)" if name.lower() in CREDENTIALS else value] for name, value in request.headers]
        return as_json(200, {"host": host, "method": request.method, "target": request.target, "headers": shown})

    def openai(self, request, path, status):
        config = self.config
        upgrade = "websocket" in map(str.lower, request.values("upgrade"))
        turn, pause = responses_turn(config.get("text", TEXT)), config.get("pause", 0.02)
        if path == "/backend-api/wham/accounts/check" and request.method == "GET":
            account = config.get("account") or (request.values("chatgpt-account-id") or ["none"])[0]
            entry = {"id": account, "plan_type": "pro", "name": "Far End", "structure": "personal",
                     "workspace_backend_origin": config.get("origin", "NO_CONSTRAINT"), "account_routing_override": "NO_CONSTRAINT"}
            return as_json(200, {"accounts": [entry], "account_ordering": [account], "default_account_id": account})
        if path.endswith("/responses") and upgrade:
            async def reply(message):
                asked = json.loads(message)
                if asked.get("type") == "response.create":
                    warm_up = asked.get("generate") is False
                    for event in [turn[0], turn[-1]] if warm_up else turn:
                        yield json.dumps(event)
                        await asyncio.sleep(pause)
            return Websocket(reply)
        if path.endswith("/responses") and request.method == "POST":
            return stream(turn, pause)
        return refusal(404)

    def openai_auth(self, request, path, status):
        if path == "/oauth/token" and status == 200:
            return as_json(200, {"access_token": fresh_jwt(), "id_token": fresh_jwt(), "refresh_token": "refreshed-by-the-far-end"})
        if path == "/oauth/token":
            return refusal(401, "Your refresh token is invalid", "refresh_token_expired")
        return refusal(404)

    def anthropic(self, request, path, status):
        if path != "/v1/messages" or request.method != "POST":
            return refusal(404)
        try:
            asked = json.loads(request.kept)
        except ValueError:
            return refusal(400, "the body is not JSON", "invalid_request_error")
        message, turn = messages_turn(self.config.get("text", TEXT), asked.get("model", "far-end"))
        return stream(turn, self.config.get("pause", 0.02)) if asked.get("stream") else as_json(200, message)

    def redirect(self, request):
        return Response(302, [["location", query(request)["to"]]])

    def chunks(self, request):
        wanted = {"chunks": 3, "pause": 0.1, "size": 10} | query(request)

        async def body():
            for _ in range(int(wanted["chunks"])):
                yield b"x" * int(wanted["size"])
                await asyncio.sleep(float(wanted["pause"]))
        return Response(200, [["content-type", "application/octet-stream"]], body())

    def upload(self, request):
        return as_json(200, {"received": request.length, "sha256": request.digest.hexdigest()})

    def websocket_echo(self, request):
        async def reply(message):
            yield message
        return Websocket(reply) if request.values("upgrade") else refusal(426)

    def switch(self, request):
        """Takes up any protocol; what follows is read as requests, and so in the log."""
        asked = request.values("upgrade")
        return Response(101, [["connection", "Upgrade"], ["upgrade", asked[0]]]) if asked else refusal(426)

    HOSTS = {
        "chatgpt.com": openai, "us.chatgpt.com": openai, "api.openai.com": openai,
        "auth.openai.com": openai_auth, "api.anthropic.com": anthropic,
    }
    ANYWHERE = {"/redirect": redirect, "/stream": chunks, "/upload": upload, "/ws-echo": websocket_echo, "/switch": switch}


def query(request):
    return {name: values[0] for name, values in parse_qs(urlsplit(request.target).query).items()}
