# Vagrant and cookline: `require_relative "cookline"` at the top of a Vagrantfile makes the provisioner known,
#
#   config.vm.provision "cookline", stack: "stacks/shop.yml", layers: ["app"], event: "setup"
#
# and with it Cookline::Machines, which declares machines that lxc, libvirt and virtualbox can bring up.
module Cookline
  # What a user can mend: shown by Vagrant as one message, without a trace.
  class Error < Vagrant::Errors::VagrantError
    def initialize(text)
      @text = text
      super()
    end

    def error_message
      @text
    end
  end

  # "; did you mean 'balancer'?" where one of the names is near.
  def self.did_you_mean(word, names)
    require "did_you_mean"
    near = DidYouMean::SpellChecker.new(dictionary: names.map(&:to_s)).correct(word.to_s).first
    near ? "; did you mean '#{near}'?" : "; there are #{names.join(", ")}"
  end
end

require_relative "stack_file"
require_relative "addresses"
require_relative "network"
require_relative "machines"
require_relative "config"
require_relative "provisioner"

class Cookline::Plugin < Vagrant.plugin("2")
  name "cookline"
  description "Sets machines up as instances of a cookline stack."
  config(:cookline, :provisioner) { Cookline::Config }
  provisioner(:cookline) { Cookline::Provisioner }
end
