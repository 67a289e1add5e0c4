#!/usr/bin/env python3
"""`longhaul-train serve-bench --url` beside a server of known times: every request is asked when its
time comes, as many at once as come, and what it reports is what the server did.

  serve_remote_check.py LONGHAUL_TRAIN
"""
import http.server
import json
import os
import subprocess
import sys
import threading
import time

FIRST, GAP, REQUESTS, OUTPUT = 0.3, 0.02, 8, 5


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock, self.asked, self.at_once, self.most_at_once = threading.Lock(), [], 0, 0

    def handle_error(self, request, client_address):
        pass   # one that left, as the bench does at the first refusal


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def chunk(self, text):
        self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())

    def event(self, **event):
        self.chunk(f"data: {json.dumps(event)}\n\n")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append((self.path, self.headers["Authorization"], asked))
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        if asked["model"] != "mine":
            self.send_error(404, "no such model")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if "/silent/" in self.path:
            self.chunk("data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
            return
        time.sleep(FIRST)
        for i in range(asked["max_tokens"]):
            if i > 0:
                time.sleep(GAP)
            piece = {"delta": {"content": "word "}} if "messages" in asked else {"text": "word "}
            self.event(choices=[piece])
        words = asked["prompt"] if "prompt" in asked else asked["messages"][0]["content"]
        self.event(choices=[], usage={"prompt_tokens": len(words.split()),
                                      "completion_tokens": asked["max_tokens"]})
        self.chunk("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")
        with self.server.lock:
            self.server.at_once -= 1

    def log_message(self, *_):
        pass


def bench(program, url, *more, code=0):
    done = subprocess.run([program, "serve-bench", "--url", url, "--requests", str(REQUESTS),
                           "--rate", "0", "--prompt", "16", "--output", str(OUTPUT),
                           "--served-model", "mine", *more], check=False, capture_output=True, text=True,
                          env=dict(os.environ, OPENAI_API_KEY="secret"), timeout=120)
    assert done.returncode == code, (done.returncode, done.stderr)
    return json.loads(done.stdout) if code == 0 else done.stderr


def expect_what_the_server_did(told):
    assert told["requests"] == REQUESTS and told["made_tokens"] == told["pieces"] == REQUESTS * OUTPUT, told
    assert told["prompt_tokens"] == REQUESTS * 16, told
    # Never less than the server took; how much more is the machine's.
    assert told["ttft_less_round_trip"]["median"] >= FIRST - 0.01, told
    assert told["ttft"]["median"] >= told["ttft_less_round_trip"]["median"], told
    assert 0 < told["round_trip"]["median"] < FIRST, told
    assert told["tpot"]["mean"] >= GAP * 0.9, told
    assert told["end_to_end"]["median"] >= FIRST + (OUTPUT - 1) * GAP * 0.9, told


def main():
    program = sys.argv[1]
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_port}"
        expect_what_the_server_did(bench(program, f"{here}/v1"))
        assert server.most_at_once == REQUESTS, server.most_at_once
        expect_what_the_server_did(bench(program, f"{here}/v1/chat/completions"))
        paths = {path for path, _, _ in server.asked}
        assert paths == {"/v1/completions", "/v1/chat/completions"}, paths
        assert {key for _, key, _ in server.asked} == {"Bearer secret"}
        texts = [asked["prompt"] for _, _, asked in server.asked if "prompt" in asked]
        assert len(set(texts)) == REQUESTS, "a server could answer from its cache"
        assert "no such model" in bench(program, f"{here}/v1", "--served-model", "other", code=2)
        assert "no text came in it" in bench(program, f"{here}/silent/v1", code=1)
        server.shutdown()
        nowhere = server.server_port
    assert "connect" in bench(program, f"http://127.0.0.1:{nowhere}/v1", code=5), "nobody listens"
    print("all held")


if __name__ == "__main__":
    main()
