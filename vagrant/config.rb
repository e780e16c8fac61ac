# The settings of the provisioner, checked before any machine is touched.
class Cookline::Config < Vagrant.plugin("2", :config)
  EVENTS = %w[setup configure deploy undeploy].freeze
  SETTINGS = %w[stack layers event command].freeze

  # stack: path of the definition. layers: names; those of the instance of the machine's name without. event: one of EVENTS.
  # command: the program cookline, where it is neither in a .venv of this folder or one above it, nor on the PATH.
  attr_accessor :stack, :layers, :event, :command

  def initialize
    super
    @stack = @layers = @event = @command = UNSET_VALUE
  end

  def finalize!
    @stack = nil if @stack == UNSET_VALUE
    @layers = nil if @layers == UNSET_VALUE
    @event = @event == UNSET_VALUE ? "setup" : @event.to_s
    @command = nil if @command == UNSET_VALUE
  end

  def validate(machine)
    problems = mistyped
    problems << "`event` is no event of a machine that is up: '#{event}'#{Cookline.did_you_mean(event, EVENTS)}" unless EVENTS.include?(event)
    problems += problems_of_the_stack(machine)
    { "cookline" => problems }
  end

  # The definition, read. Raises Cookline::Error.
  def stack_file(machine)
    Cookline::StackFile.new(Cookline::StackFile.find(stack.to_s, [machine.env.root_path.to_s]))
  end

  # What the machine's layers are: said here, or those of the instance of its name.
  def layers_of(machine, definition)
    named = layers || definition.instances.dig(machine.name.to_s, "layers") || []
    Array(named).map(&:to_s)
  end

  private

  def mistyped
    (@__invalid_methods || []).sort.map { |name| "there is no setting `#{name}`#{Cookline.did_you_mean(name, SETTINGS)}" }
  end

  def problems_of_the_stack(machine)
    return ["`stack` is missing: the path of a stack definition"] if stack.to_s.empty?

    definition = stack_file(machine)
    chosen = layers_of(machine, definition)
    return ["`layers` are missing: #{definition.path} has no instance #{machine.name}"] if chosen.empty?

    unknown = chosen - definition.layers
    unknown.map { |name| "#{definition.path} has no layer '#{name}'#{Cookline.did_you_mean(name, definition.layers)}" }
  rescue Cookline::Error => error
    [error.message]
  end
end
