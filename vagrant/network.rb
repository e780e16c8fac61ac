# The bridge of a folder's lxc machines, with a /24 of their own. It is made with the first machine, and goes with the last.
# Nothing on it has a way out of this computer.
require "digest"
require "fileutils"
require "ipaddr"
require "json"
require "open3"

class Cookline::Network
  # RFC 2544 sets 198.18.0.0/15 aside for tests of network devices: no real host lives there. The upper half comes first.
  RANGES = %w[198.19 198.18].freeze
  # Ten addresses stay free for the bridge and what somebody puts beside it.
  NUMBERS = (11..250).freeze
  # Held by all that choose ranges on this computer, cookline's own containers included.
  COMPUTER_LOCK = "/run/cookline-container.lock".freeze

  # `wanted` is a range that the user asked for, such as 10.77.3.0/24.
  def initialize(folder, wanted = nil)
    @identifier = Digest::SHA256.hexdigest(File.realpath(folder))[0, 6]
    @record = File.join(File.expand_path(ENV.fetch("VAGRANT_DOTFILE_PATH", ".vagrant"), folder), "cookline", "network.json")
    @wanted = wanted
    @numbers = recorded["numbers"] || {}
  end

  # At most 8 of the 15 bytes that a link's name may have.
  def bridge
    "cv#{@identifier}"
  end

  # The last byte of a machine's address: what it has had since it was made, else the smallest that is free.
  def number(name)
    @numbers[name] ||= NUMBERS.find { |number| !@numbers.value?(number) } ||
                       raise(Cookline::Error, "#{NUMBERS.size} machines are the most that one folder can have")
  end

  def prefix
    subnet.prefix
  end

  def address(name)
    (subnet | number(name)).to_s
  end

  def hardware_address(name)
    ["02", "63", *IPAddr.new(address(name)).hton.bytes.map { |byte| format("%02x", byte) }].join(":")
  end

  # Before `name` boots.
  def up(name)
    locked do
      make_bridge unless Dir.exist?("/sys/class/net/#{bridge}")
      keep((recorded["up"] || []) | [name])
    end
  end

  # After `name` was destroyed.
  def down(name)
    locked do
      left = (recorded["up"] || []) - [name]
      keep(left)
      ip("link", "delete", bridge) if left.empty? && Dir.exist?("/sys/class/net/#{bridge}")
      FileUtils.rm_f(@record) if left.empty?
    end
  end

  private

  # While there are machines they keep the range that they were made with.
  def subnet
    @subnet ||= IPAddr.new(recorded["subnet"] || @wanted || free).tap do |range|
      raise Cookline::Error, "NETWORK=#{@wanted} is too small: it is a range such as 10.77.3.0/24" if range.prefix > 24
    end
  rescue IPAddr::Error
    raise Cookline::Error, "NETWORK=#{@wanted} is no range of addresses such as 10.77.3.0/24"
  end

  # Beginning at one that the folder picks: two folders seldom ask for the same.
  def free
    needed = Cookline::Addresses.needed
    start = @identifier.to_i(16)
    candidates = RANGES.flat_map { |half| (0..255).map { |step| "#{half}.#{(start + step) % 256}.0/24" } }
    candidates.find { |range| Cookline::Addresses.hidden_by(IPAddr.new(range), needed).empty? } ||
      raise(Cookline::Error, "no /24 of #{RANGES.join(" or ")} is free here; NETWORK=10.77.3.0/24 names another")
  end

  def make_bridge
    hidden = Cookline::Addresses.hidden_by(subnet, Cookline::Addresses.needed)
    unless hidden.empty?
      raise Cookline::Error, "#{subnet}/#{prefix} would hide #{hidden.first} from this computer; NETWORK=10.77.3.0/24 names another"
    end
    # without the delay of a bridge that first looks for loops, a machine is reached as soon as it is up
    ip("link", "add", bridge, "type", "bridge", "forward_delay", "0")
    ip("address", "add", "#{subnet | 1}/#{prefix}", "dev", bridge)
    ip("link", "set", bridge, "up")
    root("sysctl", "-qw", "net.ipv4.conf.#{bridge}.forwarding=0")
  end

  def recorded
    File.exist?(@record) ? JSON.parse(File.read(@record)) : {}
  end

  # A machine that is gone gives its number back.
  def keep(names)
    FileUtils.mkdir_p(File.dirname(@record))
    known = { "subnet" => "#{subnet}/#{prefix}", "up" => names, "numbers" => @numbers.slice(*names) }
    File.write("#{@record}.new", JSON.generate(known))
    File.rename("#{@record}.new", @record)
  end

  def locked
    File.open(COMPUTER_LOCK, File::RDWR | File::CREAT, 0o600) do |lock|
      lock.flock(File::LOCK_EX)
      yield
    end
  rescue Errno::EACCES
    raise Cookline::Error, "machines of lxc need root: they get a bridge of their own"
  end

  def ip(*words)
    root("ip", *words)
  end

  def root(*words)
    said, status = Open3.capture2e(*words)
    raise Cookline::Error, "`#{words.join(" ")}` ended with #{status.exitstatus}: #{said.strip}" unless status.success?
  end
end
