"""The API's port is taken early and whole."""

import socket

import pytest

from pepeunit_gateway.api.listener import bind_api, close_sockets
from pepeunit_gateway.errors import StartError
from tests.support.ports import free_port


def test_a_port_that_is_taken_is_refused_at_once_also_before_anything_is_served():
    port = free_port()
    first = bind_api("127.0.0.1", port)
    try:
        with pytest.raises(StartError, match="PU_HTTP_PORT"):
            bind_api("127.0.0.1", port)
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass  # who comes early waits in the queue instead of being refused
    finally:
        close_sockets(first)
    close_sockets(bind_api("127.0.0.1", port))


def test_an_address_that_is_not_this_machines_names_the_variable():
    with pytest.raises(StartError, match="PU_HTTP_HOST"):
        bind_api("192.0.2.1", free_port())
