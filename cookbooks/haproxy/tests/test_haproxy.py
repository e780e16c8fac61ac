from testinfra.host import Host


def test_the_balancer_runs_and_comes_back_after_a_boot(host: Host) -> None:
    assert host.service("haproxy").is_running
    assert host.service("haproxy").is_enabled


def test_its_configuration_is_valid(host: Host) -> None:
    assert host.run("haproxy -c -f /etc/haproxy/haproxy.cfg").succeeded


def test_it_listens_for_visitors(host: Host) -> None:
    assert host.socket("tcp://0.0.0.0:80").is_listening
