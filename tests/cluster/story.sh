# What cluster-test tells.
story() { :; }
