# The one host of the coordinator, a small machine outside both host groups. What it is told is in
# hiera/hostgroup/alibuild.yaml. On any other host the class does nothing.
include millwright::coordinator
