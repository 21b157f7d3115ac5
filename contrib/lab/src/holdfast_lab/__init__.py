"""A KVM cloud of real parts on one machine, to break on purpose."""
