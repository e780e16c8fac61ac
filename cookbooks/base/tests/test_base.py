from testinfra.host import Host


def test_a_login_is_greeted_with_the_name_of_the_host(host: Host) -> None:
    name = host.check_output("hostname")
    assert name in host.file("/etc/motd").content_string


def test_each_host_finds_itself_among_the_online_ones(host: Host) -> None:
    name = host.check_output("hostname")
    lines = host.file("/etc/hosts").content_string.splitlines()
    assert any(line.split()[1:] == [name] and not line.startswith("127.") for line in lines if line.strip())
