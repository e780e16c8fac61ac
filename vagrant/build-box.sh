#!/bin/sh
# Builds a Debian 12 box for vagrant-lxc out of Debian's packages, and adds it to Vagrant as NAME. Needs root and mmdebstrap.
#
#   vagrant/build-box.sh [NAME]          NAME is cookline/bookworm without; SUITE and MIRROR as mmdebstrap takes them
set -eu
name=${1:-cookline/bookworm}
suite=${SUITE:-bookworm}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
key=$(dpkg -L vagrant 2>/dev/null | grep "/keys/vagrant[.]pub$" || true)
[ -n "$key" ] && [ -e "$key" ] || { echo "build-box: Vagrant is missing; as root: apt-get install vagrant vagrant-lxc lxc" >&2; exit 1; }

# libnss-myhostname answers for the own name: without it each sudo waits for a name server that is not there.
packages=systemd,systemd-sysv,dbus,openssh-server,sudo,python3,iproute2,libnss-myhostname,ca-certificates,cron,procps
mmdebstrap --quiet --variant=minbase --include="$packages" \
    --customize-hook='chroot "$1" useradd --create-home --shell /bin/bash vagrant' \
    --customize-hook='mkdir -p -m 700 "$1/home/vagrant/.ssh"' \
    --customize-hook="copy-in $key /home/vagrant/.ssh" \
    --customize-hook='mv "$1/home/vagrant/.ssh/vagrant.pub" "$1/home/vagrant/.ssh/authorized_keys"' \
    --customize-hook='chroot "$1" chown -R vagrant: /home/vagrant; chmod 600 "$1/home/vagrant/.ssh/authorized_keys"' \
    --customize-hook='echo "vagrant ALL=(ALL) NOPASSWD:ALL" > "$1/etc/sudoers.d/vagrant"; chmod 440 "$1/etc/sudoers.d/vagrant"' \
    --customize-hook='rm -f "$1/etc/hostname" "$1/etc/resolv.conf" "$1"/etc/ssh/ssh_host_*; : > "$1/etc/machine-id"' \
    --customize-hook='printf "[Unit]\nBefore=ssh.service\n[Service]\nType=oneshot\nExecStart=/usr/bin/ssh-keygen -A\n[Install]\nWantedBy=multi-user.target\n" > "$1/etc/systemd/system/host-keys.service"' \
    --customize-hook='chroot "$1" systemctl --quiet enable host-keys.service' \
    "$suite" "$work/rootfs.tar" ${MIRROR:-}
# vagrant-lxc unpacks ./rootfs of the archive, without its first two names
mkdir "$work/rootfs" && tar -xpf "$work/rootfs.tar" --numeric-owner -C "$work/rootfs" && rm "$work/rootfs.tar"
tar -C "$work" --numeric-owner -cf - ./rootfs | gzip -1 > "$work/rootfs.tar.gz"
printf '{"provider": "lxc", "version": "1.0.0"}\n' > "$work/metadata.json"
printf 'lxc.apparmor.profile = unconfined\nlxc.include = /usr/share/lxc/config/common.conf\nlxc.arch = linux64\n' > "$work/lxc-config"
tar -C "$work" -czf "$work/box" --use-compress-program='gzip -1' metadata.json lxc-config rootfs.tar.gz 2>/dev/null ||
    tar -C "$work" -cf "$work/box" metadata.json lxc-config rootfs.tar.gz
vagrant box add --force --name "$name" --provider lxc "$work/box"
