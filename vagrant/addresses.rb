# The addresses that this computer needs for itself: the machines' network must hide none of them.
require "ipaddr"
require "json"
require "open3"
require "socket"
require "timeout"

module Cookline::Addresses
  # Files that name package registries.
  FILES = ["/etc/apt/sources.list", "/etc/apt/sources.list.d/*", "/etc/apt/apt.conf.d/*", "/etc/pip.conf", "~/.pip/pip.conf",
           "~/.config/pip/pip.conf", "/etc/gemrc", "~/.gemrc"].freeze
  VARIABLES = /\A(https?_proxy|all_proxy|pip_index_url|pip_extra_index_url)\z/i.freeze
  URL_HOST = %r{https?://(?:[^/@\s"']*@)?([A-Za-z0-9.-]+)}.freeze
  # Names that do not resolve within this many seconds cannot be hidden either: the computer does not reach them.
  RESOLVE_SECONDS = 2

  module_function

  # [what it is, its range] of each address and route of this computer, its nameservers and its package registries.
  def needed
    (own + routes + nameservers + registries).map { |what, range| [what, IPAddr.new(range)] }
  end

  # What of `needed` lies in `range`, or the other way round.
  def hidden_by(range, needed)
    needed.select { |_, other| range.include?(other) || other.include?(range) }.map { |what, other| "#{what} (#{other})" }
  end

  def own
    Socket.getifaddrs.select { |link| link.addr&.ipv4? && link.netmask }.map do |link|
      ["the address of #{link.name}", "#{link.addr.ip_address}/#{link.netmask.ip_address}"]
    end
  end

  # Every route but the default one, whose gateway counts instead.
  def routes
    said, = Open3.capture2("ip", "-json", "-4", "route", "show")
    JSON.parse(said.empty? ? "[]" : said).flat_map do |route|
      there = route["dst"] == "default" ? [] : [["the route through #{route["dev"]}", route["dst"]]]
      route["gateway"] ? [*there, ["a gateway", route["gateway"]]] : there
    end
  end

  def nameservers
    File.readlines("/etc/resolv.conf").filter_map { |line| line[/\Anameserver\s+([0-9.]+)\s*\z/, 1] }.map { |ip| ["a nameserver", ip] }
  rescue SystemCallError
    []
  end

  def registries
    paths = FILES.flat_map { |path| Dir[File.expand_path(path)] }
    texts = paths.map { |path| File.read(path).scrub } + ENV.select { |name, _| VARIABLES.match?(name) }.values
    names = texts.flat_map { |text| text.scan(URL_HOST).flatten }.uniq
    Timeout.timeout(RESOLVE_SECONDS) do
      names.flat_map { |name| addresses(name).map { |ip| ["the package registry #{name}", ip] } }
    end
  rescue Timeout::Error, SystemCallError
    []
  end

  def addresses(name)
    Addrinfo.getaddrinfo(name, nil, :INET, :STREAM).map(&:ip_address).uniq
  rescue SocketError
    []
  end
end
