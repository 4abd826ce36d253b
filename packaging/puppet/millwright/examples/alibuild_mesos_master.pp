# The host group alibuild/mesos/master: three nodes, one in each zone. What they say about themselves is in
# hiera/hostgroup/alibuild/mesos/master.yaml.
include millwright::agent
