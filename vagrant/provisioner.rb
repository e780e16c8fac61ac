# Makes the machine a host of the stack, and has `cookline` run an event on it.
require "fileutils"
require "json"

class Cookline::Provisioner < Vagrant.plugin("2", :provisioner)
  # How long another run on the same host is waited for, in seconds.
  WAIT = "600".freeze

  # Machines come up side by side, but a store of cookline's has one controller at a time: they take turns. Each one's setup ends
  # with the configure event on all that are up, so the last to come leaves them all knowing each other.
  def provision
    definition = config.stack_file(@machine)
    in_turn do
      remember(definition)
      say_nothing("trust", place, "--key", host_key)
      say_nothing("push", definition.copy_path, "--message", "vagrant: #{@machine.name} is up")
      say(config.event, definition.name, "--on", @machine.name.to_s, "--wait", WAIT)
    end
  end

  # The machine was destroyed: the stack goes on without it, and the next configure tells the others.
  def cleanup
    return unless File.exist?(record)

    in_turn do
      definition = config.stack_file(@machine)
      FileUtils.rm_f(record)
      definition.write_copy(up(definition))
      say_nothing("push", definition.copy_path, "--abandon", "--message", "vagrant: #{@machine.name} is gone")
    end
  rescue Cookline::Error => error
    @machine.ui.warn("cookline was not told that it is gone: #{error.message}")
  end

  private

  # -- what is known of the machines ------------------------------------------------------------------------------------

  def remember(definition)
    user, identity = ssh[:username], ssh[:private_key_path].first
    instance = { "layers" => config.layers_of(@machine, definition), "address" => address, "port" => port,
                 "user" => user, "identity_file" => identity }
    File.write(record, JSON.generate("stack" => definition.path, "instance" => instance))
    definition.write_copy(up(definition))
  end

  def record
    File.join(state, "#{@machine.name}.json")
  end

  # name => instance, of the machines that are up for this stack
  def up(definition)
    records = Dir[File.join(state, "*.json")].to_h { |file| [File.basename(file, ".json"), JSON.parse(File.read(file))] }
    records.select { |_, known| known["stack"] == definition.path }.transform_values { |known| known["instance"] }
  end

  def state
    File.join(@machine.env.local_data_path.to_s, "cookline", "machines").tap { |folder| FileUtils.mkdir_p(folder) }
  end

  # -- how it is reached ------------------------------------------------------------------------------------------------

  def ssh
    @ssh ||= @machine.ssh_info || raise(Cookline::Error, "#{@machine.name} is not up")
  end

  # Where the other machines reach it too: its address on a private network, else the one that Vagrant itself uses.
  def address
    private_address || ssh[:host]
  end

  def port
    private_address ? 22 : ssh[:port].to_i
  end

  def private_address
    _, network = @machine.config.vm.networks.find { |kind, options| kind == :private_network && options[:ip] }
    network && network[:ip]
  end

  def place
    "#{ssh[:username]}@#{address}:#{port}"
  end

  # The machine's own word, over the way that Vagrant uses itself.
  def host_key
    key = +""
    @machine.communicate.sudo("cat /etc/ssh/ssh_host_ed25519_key.pub") { |kind, text| key << text if kind == :stdout }
    key.split.first(2).join(" ")
  end

  # -- the command ------------------------------------------------------------------------------------------------------

  def in_turn
    File.open(File.join(state, "turn"), File::RDWR | File::CREAT) do |turn|
      unless turn.flock(File::LOCK_EX | File::LOCK_NB)
        @machine.ui.detail("another machine is being worked on; this one is next")
        turn.flock(File::LOCK_EX)
      end
      yield
    end
  end

  def say(*words)
    run(words) { |line| @machine.ui.detail(line) }
  end

  def say_nothing(*words)
    said = []
    run(words) { |line| said << line }
  rescue Cookline::Error => error
    raise Cookline::Error, [*said, error.message].join("\n")
  end

  # The machines are on a network of this computer: a server elsewhere, if one is named, cannot reach them.
  def run(words, &block)
    variables = { "COOKLINE_SERVER" => nil }
    line = [program, *words]
    IO.popen([variables, *line, { chdir: @machine.env.root_path.to_s, err: %i[child out] }]) { |io| io.each_line(chomp: true, &block) }
    raise Cookline::Error, "`#{["cookline", *words].join(" ")}` ended with #{$?.exitstatus || $?}" unless $?.success?
  end

  def program
    return File.expand_path(config.command, @machine.env.root_path.to_s) if config.command

    @machine.env.root_path.ascend { |folder| return folder.join(".venv/bin/cookline").to_s if folder.join(".venv/bin/cookline").file? }
    Vagrant::Util::Which.which("cookline") ||
      raise(Cookline::Error, "the command cookline is not on the PATH; the provisioner's setting `command` names it")
  end
end
