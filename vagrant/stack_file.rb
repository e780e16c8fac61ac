# A stack definition as Vagrant needs it, and its copy in which the machines are the instances.
require "psych"

class Cookline::StackFile
  # What an instance keeps from its definition; where it comes from and how it is reached is the machine's business.
  KEPT = %w[layers attributes python bootstrap].freeze

  attr_reader :path

  # The first of `folders` that holds `name`.
  def self.find(name, folders)
    folders.map { |folder| File.expand_path(name, folder) }.find { |path| File.file?(path) } ||
      raise(Cookline::Error, "there is no stack definition #{name} in #{folders.uniq.join(" or ")}")
  end

  def initialize(path)
    @path = path
    @text = File.read(path)
    # Tags such as !secret are left alone: they are no business of Vagrant's.
    @content = Psych.safe_load(@text, aliases: true)
    raise Cookline::Error, "#{path} is no stack definition: it has no `stack: NAME`" unless @content.is_a?(Hash) && name
  rescue Psych::Exception => error
    raise Cookline::Error, "#{path} is no stack definition: #{error.message}"
  end

  def name
    @content["stack"]
  end

  def layers
    (@content["layers"] || {}).keys
  end

  # name => settings
  def instances
    (@content["instances"] || {}).transform_values { |settings| settings || {} }
  end

  # stacks/shop.yml -> stacks/shop.vagrant.yml, beside it so that relative paths hold
  def copy_path
    File.join(File.dirname(@path), "#{File.basename(@path, ".*")}.vagrant.yml")
  end

  # Write the copy. `machines` is {name => {"layers", "address", "port", "user", "identity_file"}} of those that are up.
  # The document is changed as a tree, so that its tags stay; its comments do not.
  def write_copy(machines)
    document = Psych.parse_stream(@text)
    document.grep(Psych::Nodes::Scalar) { |word| word.quoted = true unless word.tag } # else "! 'a::b'" comes out
    pairs = document.children.first.root.children
    place = pairs.each_slice(2).find_index { |key, _| key.value == "instances" }
    pairs.concat([Psych::Nodes::Scalar.new("instances"), nil]) unless place
    pairs[(place || pairs.size / 2 - 1) * 2 + 1] = Psych.parse(Psych.dump(static_instances(machines))).root
    text = "# Written by Vagrant from #{File.basename(@path)}; made anew with each machine.\n#{document.to_yaml}"
    File.write("#{copy_path}.new", text)
    File.rename("#{copy_path}.new", copy_path)
  end

  private

  def static_instances(machines)
    machines.to_h { |name, machine| [name, (instances[name] || {}).slice(*KEPT).merge("provider" => "static", **machine)] }
  end
end
