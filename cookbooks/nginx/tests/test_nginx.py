from testinfra.host import Host


def test_the_server_runs_and_comes_back_after_a_boot(host: Host) -> None:
    assert host.service("nginx").is_running
    assert host.service("nginx").is_enabled


def test_its_configuration_is_valid(host: Host) -> None:
    assert host.run("nginx -t").succeeded
