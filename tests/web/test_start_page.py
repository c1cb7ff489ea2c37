"""A browser that asks for the bare address finds the documentation."""

from __future__ import annotations


def test_the_bare_address_leads_to_the_documentation_without_a_key(inside, model):
    app = inside(model, keys="on", ready=False)
    for method in ("GET", "HEAD"):
        answer = app.request(method, "/")
        assert (answer.status, answer.headers["location"]) == (302, "/docs/swagger")
    page = app.get(answer.headers["location"])
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_the_bare_address_keeps_the_prefix_of_the_proxy(inside, model):
    answer = inside(model, proxies=1, keys="off", ready=False).get("/", X_Forwarded_Prefix="/maps")
    assert answer.headers["location"] == "/maps/docs/swagger"
