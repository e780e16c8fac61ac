"""The shop: answers each request with its host's name and a row of the database, as JSON or as a page.

Its settings come from the environment: PORT, and PGHOST, PGDATABASE, PGUSER, PGPASSWORD, which libpq reads itself.
"""

import html
import json
import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

RELEASE = os.path.basename(os.path.realpath("."))
PAGE = "<!doctype html><title>shop</title><h1>{name}</h1><p>{stock} in stock. Served by <b>{host}</b>, release {release}.</p>"


def product(number):
    """One row of the table; a new connection each time, so that a database that came back is found at once."""
    connection = psycopg2.connect(dbname=os.environ["PGDATABASE"], connect_timeout=3)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, stock FROM product WHERE id = %s", (number,))
            name, stock = cursor.fetchone()
            return {"name": name, "stock": stock}
    finally:
        connection.close()


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            # Only this process: one database that is down must not take every application server out of the balancer.
            return self.answer(200, "text/plain", "ok\n")
        try:
            row = product(1)
        except psycopg2.Error as error:
            return self.answer(503, "text/plain", f"the database does not answer: {error}\n")
        content = {"host": socket.gethostname(), "release": RELEASE, "product": row}
        if "text/html" in self.headers.get("Accept", ""):
            shown = {name: html.escape(str(value)) for name, value in {**content, **row}.items()}
            return self.answer(200, "text/html; charset=utf-8", PAGE.format(**shown))
        return self.answer(200, "application/json", json.dumps(content) + "\n")

    def answer(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """The health checks of the balancer would fill the journal: errors alone are worth a line."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(os.environ["PORT"])), Shop).serve_forever()
