from testinfra.host import Host


def test_the_server_runs_and_comes_back_after_a_boot(host: Host) -> None:
    assert host.service("postgresql").is_running
    assert host.service("postgresql").is_enabled


def test_it_listens_for_other_hosts(host: Host) -> None:
    assert host.socket("tcp://0.0.0.0:5432").is_listening


def test_every_remote_client_must_show_a_password(host: Host) -> None:
    [version] = host.file("/etc/postgresql").listdir()
    rules = [line.split() for line in host.file(f"/etc/postgresql/{version}/main/pg_hba.conf").content_string.splitlines()]
    remote = [rule for rule in rules if rule and rule[0] == "host"]
    assert remote and all(rule[-1] == "scram-sha-256" and rule[3].endswith("/32") for rule in remote)
