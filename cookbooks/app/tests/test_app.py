import json

from testinfra.host import Host


def test_the_shop_runs_as_its_own_user(host: Host) -> None:
    assert host.service("shop").is_running
    process = host.process.get(user="shop", comm="python3")
    assert "server.py" in process.args


def test_it_answers_with_a_row_of_the_database(host: Host) -> None:
    ask = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080/').read().decode())"
    answer = json.loads(host.check_output("python3 -c %s", ask))
    assert answer["host"] == host.check_output("hostname")
    assert answer["product"]["name"] == "cast iron pan"


def test_its_credentials_are_for_root_alone(host: Host) -> None:
    file = host.file("/etc/shop.env")
    assert (file.user, file.mode) == ("root", 0o600)
    unit = host.file("/etc/systemd/system/shop.service").content_string
    assert "PGPASSWORD" not in unit


def test_current_points_to_a_release(host: Host) -> None:
    assert host.file("/srv/www/shop/current").linked_to.startswith("/srv/www/shop/releases/")
