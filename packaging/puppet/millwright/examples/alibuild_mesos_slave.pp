# The host group alibuild/mesos/slave: every node that builds. What it says about itself is in
# hiera/hostgroup/alibuild/mesos/slave.yaml, what is special about one node in hiera/fqdns.
include millwright::agent
