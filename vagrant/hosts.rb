# From a stack definition to machines, and back: a copy of the definition whose instances are the machines that are up.
require "fileutils"
require "json"
require "psych"

class StackFile
  def initialize(path)
    @path = File.expand_path(path)
    @text = File.read(@path)
    raise "#{@path} defines no instances" if instances.empty?
  end

  # name => settings. Tags such as !secret are left alone: they are no business of Vagrant's.
  def instances
    @instances ||= Psych.safe_load(@text, aliases: true).fetch("instances", {})
  end

  # stacks/shop.yml -> stacks/shop.vagrant.yml, beside it so that relative paths hold
  def copy
    @path.sub(/\.ya?ml\z/, ".vagrant.yml")
  end

  # Machines come up in parallel: each one's address is kept in a file of its own, the copy is written under a lock.
  def machine_is_up(name, address, state)
    FileUtils.mkdir_p(state)
    File.write(File.join(state, "#{name}.json"), JSON.generate(address))
    File.open(File.join(state, "lock"), File::RDWR | File::CREAT) do |lock|
      lock.flock(File::LOCK_EX)
      write_copy(Dir[File.join(state, "*.json")].to_h { |file| [File.basename(file, ".json"), JSON.parse(File.read(file))] })
    end
  end

  private

  # The document is changed as a tree, so that its tags stay; its comments do not.
  def write_copy(addresses)
    document = Psych.parse_stream(@text)
    document.grep(Psych::Nodes::Scalar) { |word| word.quoted = true unless word.tag } # else "! 'a::b'" comes out
    pairs = document.children.first.root.children
    place = pairs.each_slice(2).find_index { |key, _| key.value == "instances" } * 2 + 1
    pairs[place] = Psych.parse(Psych.dump(static_instances(addresses))).root
    File.write(copy, "# Written by vagrant up from #{File.basename(@path)}.\n#{document.to_yaml}")
  end

  def static_instances(addresses)
    instances.to_h do |name, settings|
      kept = settings.slice("layers", "attributes")
      [name, kept.merge("provider" => "static").merge(addresses.fetch(name, {"address" => "#{name}.is-not-up.invalid"}))]
    end
  end
end
