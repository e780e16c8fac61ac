# Declares machines, each with what lxc, libvirt and virtualbox want to know.
class Cookline::Machines
  # 512 MB hold PostgreSQL, HAProxy or the application with room for apt.
  DEFAULTS = { "platform" => "debian-12", "memory" => 512, "cpus" => 1 }.freeze
  # Debian's own boxes, for virtual machines.
  BOXES = { "debian-11" => "debian/bullseye64", "debian-12" => "debian/bookworm64", "debian-13" => "debian/trixie64" }.freeze
  # For lxc there are none: build-box.sh builds cookline/debian-12 and its like.
  OWN = "cookline/".freeze
  # VirtualBox allows private networks in 192.168.56.0/21 alone unless its own configuration says otherwise.
  VIRTUAL_NETWORK = "192.168.56.0/24".freeze

  def initialize(config, folder)
    @config = config
    @network = Cookline::Network.new(folder, ENV["NETWORK"])
    # cookline brings what a host needs over SSH; a shared folder would need more from the box.
    config.vm.synced_folder ".", "/vagrant", disabled: true
    # A key of each machine's own in place of the public one.
    config.ssh.insert_key = true
  end

  # Settings: platform (debian-11, debian-12, debian-13) or box, memory in MB, cpus.
  def define(name, settings = {})
    settings = DEFAULTS.merge(settings)
    number = @network.number(name)
    @config.vm.define(name) do |machine|
      machine.vm.hostname = name
      machine.vm.box = settings["box"] || ENV["BOX"] || BOXES[settings["platform"]]
      virtual_machine(machine, number, settings)
      container(machine, name, settings)
      yield machine if block_given?
    end
  end

  private

  # Virtual machines see one another on a private network.
  def virtual_machine(machine, number, settings)
    address = (IPAddr.new(ENV["NETWORK"] || VIRTUAL_NETWORK) | number).to_s
    machine.vm.provider(:virtualbox) do |virtualbox, override|
      virtualbox.memory, virtualbox.cpus, virtualbox.linked_clone = settings["memory"], settings["cpus"], true
      override.vm.network :private_network, ip: address
    end
    machine.vm.provider(:libvirt) do |libvirt, override|
      libvirt.memory, libvirt.cpus = settings["memory"], settings["cpus"]
      override.vm.network :private_network, ip: address
    end
  end

  # Containers share the memory of this computer, and see one another on their bridge. A hardware address that stays the same
  # spares whoever spoke to the last one half a minute.
  def container(machine, name, settings)
    machine.vm.provider(:lxc) do |lxc, override|
      override.vm.box = settings["box"] || ENV["BOX"] || "#{OWN}#{settings["platform"]}"
      override.vm.box_check_update = false
      # Plain directories: neither LVM nor btrfs is needed.
      lxc.backingstore = "dir"
      # The host reaches them on the bridge; vagrant-lxc cannot forward ports.
      override.vm.network :forwarded_port, id: "ssh", guest: 22, host: 2222, disabled: true
      {
        "type" => "veth", "link" => @network.bridge, "flags" => "up",
        "hwaddr" => @network.hardware_address(name), "ipv4.address" => "#{@network.address(name)}/#{@network.prefix}"
      }.each { |key, value| lxc.customize("net.0.#{key}", value) }
    end
    keep_the_bridge(machine, name)
  end

  def keep_the_bridge(machine, name)
    machine.trigger.before(:up, :reload) do |trigger|
      trigger.ruby do |environment, up|
        if up.provider_name == :lxc
          demand_the_box(environment, up)
          @network.up(name)
        end
      end
    end
    machine.trigger.after(:destroy) do |trigger|
      trigger.ruby { |_, gone| @network.down(name) if gone.provider_name == :lxc && gone.id.nil? }
    end
  end

  # Nobody offers our own boxes for download: Vagrant's search for one would end with a message about the network.
  def demand_the_box(environment, machine)
    box = machine.config.vm.box
    return if machine.id || !box.start_with?(OWN) || environment.boxes.find(box, :lxc, ">= 0")

    raise Cookline::Error, "there is no box #{box}; `#{__dir__}/build-box.sh #{box.delete_prefix(OWN)}` builds it"
  end
end
