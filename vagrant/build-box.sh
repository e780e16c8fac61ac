#!/bin/sh
# Builds a Debian box for vagrant-lxc out of Debian's packages, and adds it to Vagrant. Needs root, mmdebstrap and dpkg-dev.
#
#   vagrant/build-box.sh [debian-11|debian-12|debian-13]        the box is cookline/debian-12 without a word
#
# PACKAGES  what recipes will install there, such as "haproxy postgresql": the box brings them with all that they need, in a
#           local repository of apt, since machines of lxc have no way out
# MIRROR    as mmdebstrap takes it
# A box that was built is kept in ~/.cache/cookline/boxes, and built anew when this script, the packages or the key change.
set -eu
fail() { printf '%s\n' "build-box: $*" >&2; exit 1; }

platform=${1:-debian-12}
case $platform in
    debian-11) suite=bullseye ;;
    debian-12) suite=bookworm ;;
    debian-13) suite=trixie ;;
    *) fail "there is no platform $platform; there are debian-11, debian-12, debian-13" ;;
esac
key=$(dpkg -L vagrant 2>/dev/null | grep '/keys/vagrant[.]pub$' || true)
[ -n "$key" ] && [ -e "$key" ] || fail "Vagrant is missing; as root: apt-get install vagrant vagrant-lxc lxc"
missing=
for program in mmdebstrap:mmdebstrap dpkg-scanpackages:dpkg-dev; do
    command -v "${program%:*}" >/dev/null || missing="$missing ${program#*:}"
done
[ -z "$missing" ] || fail "as root: apt-get install$missing"
[ "$(id -u)" = 0 ] || fail "it needs root: it makes a file system whose files belong to root"

boxes=${XDG_CACHE_HOME:-$HOME/.cache}/cookline/boxes
mkdir -p -m 700 "$boxes"
wanted=$(printf '%s\n' ${PACKAGES:-} | sort -u | tr '\n' ' ')
box=$boxes/$platform-$({ cat "$0" "$key"; printf '%s' "$platform $wanted"; } | sha256sum | cut -c 1-12).box

build() {
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    printf 'vagrant ALL=(ALL) NOPASSWD:ALL\n' > "$work/sudoers"
    # each machine has host keys of its own, from its first boot on
    cat > "$work/host-keys.service" <<-END
	[Unit]
	Before=ssh.service
	[Service]
	Type=oneshot
	ExecStart=/usr/bin/ssh-keygen -A
	[Install]
	WantedBy=multi-user.target
	END
    # runs out here, where mmdebstrap's own configuration has apt look at the new root
    cat > "$work/repository" <<-'END'
	#!/bin/sh
	set -eu
	root=$1; shift
	export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
	mkdir -p "$root/srv/cookline-packages"
	apt-get clean
	apt-get -qq --yes --no-install-recommends --download-only -o APT::Keep-Downloaded-Packages=true install "$@"
	mv "$root"/var/cache/apt/archives/*.deb "$root/srv/cookline-packages/"
	cd "$root/srv/cookline-packages"
	dpkg-scanpackages --multiversion . > Packages 2>/dev/null
	rm -rf "$root"/var/lib/apt/lists/* "$root"/etc/apt/sources.list.d/*
	echo 'deb [trusted=yes] file:/srv/cookline-packages ./' > "$root/etc/apt/sources.list"
	env --unset=APT_CONFIG --unset=TMPDIR chroot "$root" apt-get -qq update
	END
    chmod +x "$work/repository"
    # libnss-myhostname answers for the own name: without it each sudo waits for a name server that is not there
    packages=systemd,systemd-sysv,dbus,openssh-server,sudo,python3,iproute2,libnss-myhostname,ca-certificates,cron,procps
    mmdebstrap --quiet --variant=minbase --include="$packages" --skip=cleanup/apt/lists \
        --customize-hook='chroot "$1" useradd --create-home --shell /bin/bash vagrant' \
        --customize-hook='install -d -m 700 "$1/home/vagrant/.ssh"' \
        --customize-hook="install -m 600 '$key' \"\$1/home/vagrant/.ssh/authorized_keys\"" \
        --customize-hook='chroot "$1" chown -R vagrant: /home/vagrant' \
        --customize-hook="install -m 440 '$work/sudoers' \"\$1/etc/sudoers.d/vagrant\"" \
        --customize-hook="install -m 644 '$work/host-keys.service' \"\$1/etc/systemd/system/host-keys.service\"" \
        --customize-hook='chroot "$1" systemctl --quiet enable host-keys.service' \
        --customize-hook="${wanted:+'$work/repository' \"\$1\"} ${wanted:-true}" \
        --customize-hook='rm -f "$1/etc/hostname" "$1/etc/resolv.conf" "$1"/etc/ssh/ssh_host_*; : > "$1/etc/machine-id"' \
        "$suite" "$work/rootfs.tar" ${MIRROR:-}
    # vagrant-lxc unpacks ./rootfs of the archive, without its first two names
    mkdir "$work/rootfs" && tar -xpf "$work/rootfs.tar" --numeric-owner -C "$work/rootfs" && rm "$work/rootfs.tar"
    tar -C "$work" --numeric-owner -cf - ./rootfs | gzip -1 > "$work/rootfs.tar.gz"
    printf '{"provider": "lxc", "version": "1.0.0"}\n' > "$work/metadata.json"
    # the kernel may have no AppArmor, in which case a machine with a profile does not start
    printf 'lxc.apparmor.profile = unconfined\nlxc.include = /usr/share/lxc/config/common.conf\nlxc.arch = linux64\n' > "$work/lxc-config"
    tar -C "$work" -cf "$box.new" metadata.json lxc-config rootfs.tar.gz
    mv "$box.new" "$box"
    rm -rf "$work"
}

# one builds and adds, others wait for it
exec 9> "$boxes/$platform.lock"
flock 9
[ -e "$box" ] || build
vagrant box add --force --name "cookline/$platform" --provider lxc "$box"
